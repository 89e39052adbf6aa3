"""The events that are not acknowledged yet: those that wait, and those that are on their way.

Knows nothing of sockets. The sender numbers lines by their place here, so an event that was sent stays until it is acknowledged, whatever
happens to the connection.

Many threads offer events, and a signal handler may do so in the midst of another offer; one thread takes them. There is no lock between
them, so nobody ever waits here: the queue and the counters are each safe by themselves.
"""

import itertools
from collections import deque
from queue import Empty, SimpleQueue
from typing import Any, Callable, Deque, Dict, List, Literal, NamedTuple, Optional, Tuple

#: Which event gives way when the buffer is full.
Overflow = Literal["oldest", "newest"]

#: As many lines may be on their way without an acknowledgement; the exporter acknowledges at least as often.
WINDOW_LINES = 1024

Event = Tuple[str, Dict[str, Any]]


class Stats(NamedTuple):
    """What became of the events: ``emitted == acknowledged + pending + dropped`` as soon as nobody emits."""

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


class Count:
    """A counter that is exact whoever counts, since each step is a single call into the interpreter."""

    def __init__(self) -> None:
        self._numbers = itertools.count()
        #: Counts one.
        self.step = self._numbers.__next__

    def value(self) -> int:
        """How often it was counted."""
        # The next number, which can be seen in no other way without taking it.
        return int(repr(self._numbers)[len("count(") : -1])


class Outbox:
    """A bounded buffer; see the module."""

    def __init__(self, capacity: int, overflow: Overflow) -> None:
        self._capacity = capacity
        self._oldest_gives_way = overflow == "oldest"
        self._waiting: "SimpleQueue[Event]" = SimpleQueue()
        self._sent: Deque[bytes] = deque()
        self._in_hand = 0
        self._wake: Optional[Callable[[], None]] = None
        self._last_ack = 0
        self._emitted = Count()
        self._dropped = Count()
        self._acknowledged = 0
        self._rejected = 0
        self._closed = False
        self.connected = False

    def offer(self, event: Event) -> bool:
        """Takes an event. False: an event was dropped for lack of room, this one or the oldest that waits."""
        self._emitted.step()
        kept = not self._closed and self._pending() < self._capacity
        if not kept:
            self._dropped.step()
            if self._closed or not self._oldest_gives_way or not self._drop_oldest():
                return False
        self._waiting.put(event)
        wake = self._wake
        if wake is not None:
            self._wake = None
            wake()
        return kept

    def _drop_oldest(self) -> bool:
        try:
            self._waiting.get_nowait()
        except Empty:
            return False
        return True

    def _pending(self) -> int:
        return self._waiting.qsize() + self._in_hand + len(self._sent)

    def close(self) -> None:
        """Takes no more events."""
        self._closed = True

    # The rest is for the one who sends.

    def take(self, encode: Callable[[Event], Optional[bytes]]) -> List[bytes]:
        """The lines to send next, as many as the window allows. What cannot be encoded is dropped."""
        lines: List[bytes] = []
        room = WINDOW_LINES - len(self._sent)
        # Counted as pending all the while.
        self._in_hand = 1
        try:
            while len(lines) < room:
                line = encode(self._waiting.get_nowait())
                if line is None:
                    self._dropped.step()
                else:
                    lines.append(line)
                    self._sent.append(line)
        except Empty:
            pass
        finally:
            self._in_hand = 0
        return lines

    def call_at_next(self, wake: Callable[[], None]) -> bool:
        """Has ``wake`` called at the next event that may be sent. False: there is one already."""
        if len(self._sent) < WINDOW_LINES:
            # Set before looking, so that none can come between unseen.
            self._wake = wake
            if not self._waiting.empty():
                self._wake = None
                return False
        return True

    def resume(self, ack: int) -> List[bytes]:
        """A session begins with this acknowledgement. Returns the lines on their way that have to be sent again."""
        # An exporter that has lost its memory acknowledges less than before: what it once had is not sent again.
        self._forget(max(0, min(ack - self._last_ack, len(self._sent))))
        self._last_ack = ack
        return list(self._sent)

    def acknowledge(self, ack: int) -> bool:
        """Every line up to this number is done. False: no such line was sent."""
        count = ack - self._last_ack
        if not 0 <= count <= len(self._sent):
            return False
        self._forget(count)
        self._last_ack = ack
        return True

    def _forget(self, count: int) -> None:
        for _ in range(count):
            self._sent.popleft()
            self._acknowledged += 1

    def reject(self, number: int) -> Optional[bytes]:
        """The line of this number was rejected. Returns it; None: no such line is on its way."""
        place = number - self._last_ack - 1
        if not 0 <= place < len(self._sent):
            return None
        self._rejected += 1
        return self._sent[place]

    def is_empty(self) -> bool:
        """Whether everything is acknowledged."""
        return self._pending() == 0

    def stats(self) -> Stats:
        """What became of the events so far."""
        return Stats(
            emitted=self._emitted.value(),
            acknowledged=self._acknowledged,
            pending=self._pending(),
            in_flight=len(self._sent),
            dropped=self._dropped.value(),
            rejected=self._rejected,
            connected=self.connected,
        )
