"""Reports lifecycle events to lifecycle-exporter.

    from lifecycle_events import Client

    events = Client(producer="talk-recording")
    events.recording.started(backend="https://cloud.example.com", recording="r1")
    events.emit("myapp.thing.happened", colour="red")     # of a catalog of one's own

An event is put into a bounded buffer, and a thread in the background brings it to the exporter by a reliable session: it counts
exactly once, over any number of restarts of the exporter. Nothing here blocks the caller or raises into it.
"""

from ._outbox import Overflow, Stats
from .client import DEFAULT_SOCKET, Client, Rejection

__all__ = ["DEFAULT_SOCKET", "Client", "Overflow", "Rejection", "Stats"]
