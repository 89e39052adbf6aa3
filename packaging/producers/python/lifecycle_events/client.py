"""The client: takes events from the host, and a thread of its own brings them to the exporter.

The way of an event: ``emit`` → the outbox → the sender's thread → the session → the exporter, which acknowledges it. Nothing on this
way raises into the host or keeps it waiting; what goes wrong is counted and logged by the logger ``lifecycle_events``.
"""

import atexit
import json
import logging
import os
import random
import secrets
import socket
import sys
import threading
import time
import weakref
from typing import Any, Callable, Dict, List, NamedTuple, Optional, Tuple

from . import _session, _socket
from ._complaints import Complaint
from ._encoding import cut, line_of, well_formed
from ._outbox import Event, Outbox, Overflow, Stats
from ._session import Broken, Session
from .systems import Systems

#: The exporter takes no longer name of a producer.
NAME_BYTES_MAX = 200
#: A connection that lasted as long was a good one: the next attempt comes soon.
GOOD_CONNECTION_SECONDS = 5.0
#: After a batch the sender rests, so that the next one is worth its wake-up.
REST_SECONDS = 0.005
#: What is left at the end of the program gets as much time.
EXIT_SECONDS = 1.0
#: What has been told to end gets as much time more.
LAST_SECONDS = 0.2

logger = logging.getLogger("lifecycle_events")


class Rejection(NamedTuple):
    """An event that the exporter did not take."""

    #: The event as it was sent.
    event: Dict[str, Any]
    #: The exporter's word for it: ``not_open``, ``unknown_event``, …
    reason: str
    #: A sentence for a person.
    detail: str


class Client(Systems):
    """Brings events to the exporter.

    :param socket_path: the exporter's socket (default: ``$LIFECYCLE_EVENTS_SOCKET``, else that of the exporter's package, ``DEFAULT_SOCKET``, else
        that of an exporter that this user runs).
    :param producer: the producer's name, stable over restarts. Processes of one program share it (the workers of a server, an old and a
        new process during an update): each is a run of its own, and so is each client. A name belongs to one user of the machine. By
        default the name of the program: of its file, or of its module after ``python -m``.
    :param owner: whether the exporter abandons what this client has opened, and what is still open, when the client is closed or its
        process is gone. ``False`` is for a script that opens something and exits, such as a job of cron.
    :param buffer: events kept while the exporter is away, at least 1.
    :param overflow: which event gives way when the buffer is full, the ``oldest`` that was not sent yet or the ``newest``.
    :param on_rejected: called in the sender's thread for each event that the exporter did not take; by default it is logged.
    :param reconnect_seconds: the first and the longest pause between two attempts to connect. Keep the longest well below the grace
        time of the exporter (30 s by default), which gives up what a producer has open if it has not come back by then.
    :param clock: Unix seconds, for the time of an event that says none.
    :param instance: this run of the producer, unique; by default random. A forked child gets an instance of its own.
    """

    def __init__(
        self,
        socket_path: Optional[str] = None,
        *,
        producer: Optional[str] = None,
        owner: bool = True,
        buffer: int = 10_000,
        overflow: Overflow = "oldest",
        on_rejected: Optional[Callable[[Rejection], None]] = None,
        reconnect_seconds: Tuple[float, float] = (0.1, 5.0),
        clock: Callable[[], float] = time.time,
        instance: Optional[str] = None,
    ) -> None:
        if buffer < 1:
            raise ValueError(f"buffer is {buffer}, and has to be at least 1")
        if overflow not in ("oldest", "newest"):
            raise ValueError(f"overflow is {overflow!r}, and has to be 'oldest' or 'newest'")
        super().__init__(self.emit)
        self._path = socket_path or os.environ.get("LIFECYCLE_EVENTS_SOCKET")
        self._owner = owner
        self._buffer = buffer
        self._overflow: Overflow = overflow
        self._on_rejected = on_rejected
        self._reconnect_seconds = reconnect_seconds
        self._clock = clock
        self._begin(instance or secrets.token_hex(8), producer or _program())
        _clients.add(self)
        atexit.register(self._at_exit)

    def _begin(self, instance: str, producer: str) -> None:
        self._outbox = Outbox(self._buffer, self._overflow)
        self._hello: Dict[str, Any] = {"hello": producer, "instance": instance}
        if not self._owner:
            self._hello["owner"] = False
        self._starting = threading.Lock()
        self._thread: Optional[threading.Thread] = None
        self._wake: Optional[Tuple[socket.socket, socket.socket]] = None
        self._session: Optional[Session] = None
        self._closing = False
        self._giving_up = False
        self._drops = Complaint(logger, "lost %d events for lack of room, since the exporter is away or slow")
        self._rejections = Complaint(logger, "%d events were rejected, the latest: %s")
        self._unstarted = Complaint(logger, "%d times the sender could not be started, will try again: %s")
        self._unfit = Complaint(logger, "%d events were no JSON, the latest: %s")

    def emit(self, event: str, /, **fields: Any) -> None:
        """Reports an event. Fields are text, numbers or booleans; ``None`` is the same as absent; others are taken as their text.

        A text of over 4,096 bytes of UTF-8 is cut, as all are to 1,100 bytes in an event of over 65,000, and a lone surrogate becomes U+FFFD.
        """
        try:
            if fields.get("time") is None:
                fields["time"] = self._clock()
            if not self._outbox.offer((event, fields)):
                self._drops.tell()
            if self._thread is None:
                self._start()
        except Exception:  # The host goes on, whatever happens here.
            logger.exception("an event could not be taken")

    def stats(self) -> Stats:
        """What became of the events so far."""
        return self._outbox.stats()

    def close(self, timeout: Optional[float] = 5.0) -> bool:
        """Takes no more events, waits until all are acknowledged, and says goodbye.

        :param timeout: seconds; ``None`` waits for ever. Returns whether everything was acknowledged.
        """
        self._outbox.close()
        self._closing = True
        # Whoever is starting the sender just now does so before it is waited for.
        if self._starting.acquire(timeout=LAST_SECONDS):
            self._starting.release()
        self._rouse()
        thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join(timeout)
            self._giving_up = True
            self._rouse()
            # It ends at once, unless it is in the host's `on_rejected`.
            thread.join(LAST_SECONDS)
        atexit.unregister(self._at_exit)
        return self._outbox.is_empty()

    def is_closed(self) -> bool:
        """Whether it takes no more events."""
        return self._closing

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _at_exit(self) -> None:
        self.close(EXIT_SECONDS)

    def _start(self) -> None:
        # Not waited for: whoever has it is starting the thread, perhaps this one, interrupted by a signal.
        if not self._starting.acquire(blocking=False):
            return
        try:
            if self._thread is None and not self._closing:
                self._close_wake()
                self._wake = socket.socketpair()
                for end in self._wake:
                    end.setblocking(False)
                thread = threading.Thread(target=self._run, name="lifecycle-events", daemon=True)
                thread.start()
                self._thread = thread
        except (OSError, RuntimeError) as error:
            self._unstarted.tell(error)
        finally:
            self._starting.release()

    def _after_fork(self) -> None:
        """This is a child of the process that made the client: what is in the buffer is the parent's to send, so this is another run."""
        self._close_wake()
        if self._session is not None:
            self._session.close()
            self._session = None
        self._begin(secrets.token_hex(8), self._hello["hello"])

    # The rest runs in the sender's thread.

    def _run(self) -> None:
        shortest, longest = self._reconnect_seconds
        delay = shortest
        told = False
        while not self._is_done():
            began = time.monotonic()
            # Closing that begins from here on is worth another attempt at once.
            was_closing = self._closing
            if was_closing:
                # There is little time left: it is tried without long pauses.
                delay = shortest
            # An exporter may start later than this program.
            path = self._path or _socket.find()
            try:
                # Known before it connects: a child of a fork has to close it.
                self._session = Session()
                self._session.begin(path, self._hello)
                self._follow(self._session)
            except (OSError, Broken) as error:
                if time.monotonic() - began > GOOD_CONNECTION_SECONDS:
                    delay, told = shortest, False
                log = logger.debug if told else logger.warning
                log("the exporter at %s cannot be reached, will try again: %s", path, error)
                told = True
            except Exception:
                logger.exception("the sender failed, will try again")
            finally:
                self._outbox.connected = False
                if self._session is not None:
                    self._session.close()
                    self._session = None
            self._pause(delay * random.uniform(0.5, 1.0), was_closing)
            delay = min(delay * 2, longest)
        self._close_wake()

    def _is_done(self) -> bool:
        return self._giving_up or (self._closing and self._outbox.is_empty())

    def _pause(self, seconds: float, was_closing: bool) -> None:
        until = time.monotonic() + seconds
        while not self._is_done() and self._closing == was_closing and (left := until - time.monotonic()) > 0:
            _session.wait(self._waking(), left)

    def _waking(self) -> socket.socket:
        assert self._wake is not None, "the wake-up is made before the thread"
        return self._wake[0]

    def _follow(self, session: Session) -> None:
        """Sends and reads until the connection breaks, or everything is done after ``close``."""
        replies: List[Dict[str, Any]] = []
        while not replies:
            if self._giving_up:
                return
            replies = session.turn(self._waking(), None)
        first = replies.pop(0)
        if "ack" not in first:
            raise Broken(f"the hello was not taken: {first.get('detail', first.get('reason'))}")
        session.send(self._outbox.resume(first["ack"]))
        self._outbox.connected = True
        for reply in replies:
            self._hear(reply)
        rested = True
        parting = False
        while not self._giving_up:
            if session.is_sent():
                lines = self._outbox.take(self._encode)
                session.send(lines)
                rested = rested and not lines
            if self._closing and not parting and self._outbox.is_empty():
                session.send([b'{"bye":true}'])
                parting = True
            timeout: Optional[float] = None
            if session.is_sent() and not parting:
                if not rested:
                    timeout = REST_SECONDS
                    rested = True
                elif not self._outbox.call_at_next(self._rouse):
                    timeout = 0
            try:
                for reply in session.turn(self._waking(), timeout):
                    self._hear(reply)
            except Broken:
                if parting:
                    return
                raise

    def _hear(self, reply: Dict[str, Any]) -> None:
        if "ack" in reply:
            if not self._outbox.acknowledge(reply["ack"]):
                raise Broken(f"line {reply['ack']} was acknowledged, and never sent")
            return
        line = self._outbox.reject(reply["rejected"])
        if line is None:
            raise Broken(f"line {reply['rejected']} was rejected: {reply.get('detail', reply.get('reason'))}")
        rejection = Rejection(json.loads(line), str(reply.get("reason", "")), str(reply.get("detail", "")))
        if self._on_rejected is None:
            self._rejections.tell(rejection)
            return
        try:
            self._on_rejected(rejection)
        except BaseException:  # Not even `sys.exit` there ends the sender.
            logger.exception("on_rejected failed")

    def _encode(self, event: Event) -> Optional[bytes]:
        name, fields = event
        try:
            fields["time"] = round(fields["time"], 3)
            return line_of(name, fields)
        except Exception as error:
            self._unfit.tell(f"{name}: {error}")
            return None

    def _rouse(self) -> None:
        if self._wake is not None:
            try:
                self._wake[1].send(b"\0")
            except OSError:  # It is full, so that the sender will wake anyway, or it is closed.
                pass

    def _close_wake(self) -> None:
        if self._wake is not None:
            for end in self._wake:
                end.close()


_clients: "weakref.WeakSet[Client]" = weakref.WeakSet()


def _program() -> str:
    """The name of the program, the same in each of its processes and at each of its starts."""
    module = getattr(sys.modules.get("__main__"), "__spec__", None)
    path = sys.argv[0] if sys.argv else ""
    if module is not None and module.name != "__main__":
        name = module.name[: -len(".__main__")] if module.name.endswith(".__main__") else module.name
    elif path in ("", "-c", "-m"):
        name = "python"
    else:
        folder, name = os.path.split(os.path.abspath(path))
        # The process that a program has spawned knows only the file of a package that was started by `-m`.
        name = os.path.basename(folder) if name == "__main__.py" else name
    return well_formed(cut(name, NAME_BYTES_MAX))


def _after_fork_in_child() -> None:
    for client in list(_clients):
        client._after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
