"""The events that are not acknowledged yet: those that wait, and those that are on their way.

Knows nothing of sockets and threads, but may be used by several at once. The sender numbers lines by their place here, so an event
that was sent stays until it is acknowledged, whatever happens to the connection.
"""

import threading
from collections import deque
from typing import Any, Callable, Deque, Dict, List, Literal, NamedTuple, Optional, Tuple

#: Which event gives way when the buffer is full.
Overflow = Literal["oldest", "newest"]

#: As many lines may be on their way without an acknowledgement; the exporter acknowledges at least as often.
WINDOW_LINES = 1024

Event = Tuple[str, Dict[str, Any]]


class Stats(NamedTuple):
    """What became of the events: ``emitted == acknowledged + pending + dropped``."""

    #: Events that the host has emitted.
    emitted: int
    #: Events that the exporter has applied or rejected, for good.
    acknowledged: int
    #: Events that wait or are on their way.
    pending: int
    #: Events that are on their way: sent, not yet acknowledged.
    in_flight: int
    #: Events lost here: the buffer was full, they are no JSON, or came after ``close``.
    dropped: int
    #: Events that the exporter has rejected; they are acknowledged, too.
    rejected: int
    #: Whether a session is established now.
    connected: bool


class Outbox:
    """A bounded buffer; see the module."""

    def __init__(self, capacity: int, overflow: Overflow) -> None:
        # Reentrant, since a signal handler may emit in the midst of an emit.
        self._lock = threading.RLock()
        self._room = capacity
        self._oldest_gives_way = overflow == "oldest"
        self._waiting: Deque[Event] = deque()
        self._sent: Deque[bytes] = deque()
        self._in_hand = 0
        self._wake: Optional[Callable[[], None]] = None
        self._last_ack = 0
        self._emitted = 0
        self._acknowledged = 0
        self._dropped = 0
        self._rejected = 0
        self._closed = False
        self.connected = False

    def offer(self, event: Event) -> bool:
        """Takes an event. False: an event was dropped for lack of room, this one or the oldest that waits."""
        with self._lock:
            self._emitted += 1
            kept = self._room > 0
            if kept:
                self._room -= 1
            else:
                self._dropped += 1
                if self._closed or not (self._oldest_gives_way and self._waiting):
                    return False
                self._waiting.popleft()
            self._waiting.append(event)
            if self._wake is not None:
                self._wake()
                self._wake = None
        return kept

    def close(self) -> None:
        """Takes no more events."""
        with self._lock:
            self._closed = True
            self._room = 0
            if self._wake is not None:
                self._wake()
                self._wake = None

    def take(self, encode: Callable[[Event], Optional[bytes]]) -> List[bytes]:
        """The lines to send next, as many as the window allows. What cannot be encoded is dropped."""
        with self._lock:
            room = min(WINDOW_LINES - len(self._sent), len(self._waiting))
            events = [self._waiting.popleft() for _ in range(room)]
            self._in_hand = room
        # Without the lock: whoever emits an event does not wait for this.
        lines = [line for line in map(encode, events) if line is not None]
        with self._lock:
            self._in_hand = 0
            self._dropped += room - len(lines)
            self._make_room(room - len(lines))
            self._sent.extend(lines)
        return lines

    def call_at_next(self, wake: Callable[[], None]) -> bool:
        """Has ``wake`` called at the next event that may be sent. False: there is one already."""
        with self._lock:
            if len(self._sent) < WINDOW_LINES:
                if self._waiting:
                    return False
                self._wake = wake
            return True

    def resume(self, ack: int) -> List[bytes]:
        """A session begins with this acknowledgement. Returns the lines on their way that have to be sent again."""
        with self._lock:
            # An exporter that has lost its memory acknowledges less than before: what it once had is not sent again.
            known = max(0, min(ack - self._last_ack, len(self._sent)))
            self._forget(known)
            self._last_ack = ack
            return list(self._sent)

    def acknowledge(self, ack: int) -> bool:
        """Every line up to this number is done. False: no such line was sent."""
        with self._lock:
            count = ack - self._last_ack
            if not 0 <= count <= len(self._sent):
                return False
            self._forget(count)
            self._last_ack = ack
            return True

    def _forget(self, count: int) -> None:
        for _ in range(count):
            self._sent.popleft()
        self._acknowledged += count
        self._make_room(count)

    def _make_room(self, count: int) -> None:
        if not self._closed:
            self._room += count

    def reject(self, number: int) -> Optional[bytes]:
        """The line of this number was rejected. Returns it; None: no such line is on its way."""
        with self._lock:
            place = number - self._last_ack - 1
            if not 0 <= place < len(self._sent):
                return None
            self._rejected += 1
            return self._sent[place]

    def is_empty(self) -> bool:
        """Whether everything is acknowledged."""
        with self._lock:
            return not self._waiting and not self._in_hand and not self._sent

    def stats(self) -> Stats:
        """What became of the events so far."""
        with self._lock:
            return Stats(
                emitted=self._emitted,
                acknowledged=self._acknowledged,
                pending=len(self._waiting) + self._in_hand + len(self._sent),
                in_flight=len(self._sent),
                dropped=self._dropped,
                rejected=self._rejected,
                connected=self.connected,
            )
