"""Reports lifecycle events to lifecycle-exporter.

    from lifecycle_events import Client

    events = Client(producer="talk-recording")
    events.recording.started(backend="https://cloud.example.com/", recording="r1")
    events.emit("myapp.thing.happened", colour="red")     # of a catalog of one's own

An event is put into a bounded buffer, and a thread in the background brings it to the exporter by a reliable session: it counts
exactly once, over any number of restarts of the exporter. Nothing here blocks the caller or raises into it.

**Where the exporter is.** `$LIFECYCLE_EVENTS_SOCKET` is the path of its socket; without it the client takes that of the exporter's package,
`/run/lifecycle-exporter/events.sock`, else that of an exporter that this user runs.

**What a client opens is its own.** When the client is closed or its process ends, the exporter abandons what is still open: a recording or
a job becomes a failed one. A script that opens something and exits, such as a job of cron, says that it owns nothing:

    with Client(producer="nightly-encode", owner=False) as events:
        events.vlog.job_started(job="42")                 # a worker reports its end; with `owner=True` it would fail here

**The end.** The client sends what is left when the program ends, for up to a second. A signal that ends Python at once, as SIGTERM does
unless the program handles it, is no such end: call `close` in its handler.
"""

from ._outbox import Overflow, Stats
from ._socket import DEFAULT_SOCKET
from .client import Client, Rejection

__all__ = ["DEFAULT_SOCKET", "Client", "Overflow", "Rejection", "Stats"]
