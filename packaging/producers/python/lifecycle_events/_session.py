"""One connection to the exporter: a Unix socket that says hello, sends lines and reads replies, and never waits longer than told.

Knows nothing of the buffer behind it; what to send next and what a reply means is the sender's (see ``client``).
"""

import json
import select
import socket
from typing import Any, Dict, List

#: A reply is shorter; what is not comes from no exporter.
REPLY_BYTES_MAX = 64 * 1024


class Broken(Exception):
    """The connection has ended, or the other side is no exporter."""


class Session:
    """A socket; see the module."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._outgoing = bytearray()
        self._incoming = bytearray()

    def begin(self, path: str, hello: Dict[str, Any]) -> None:
        """Connects. A full backlog is an error at once (EAGAIN), to be tried again later."""
        self._socket.setblocking(False)
        self._socket.connect(path)
        self.send([json.dumps(hello).encode()])

    def close(self) -> None:
        """Closes the socket."""
        self._socket.close()

    def send(self, lines: List[bytes]) -> None:
        """Puts lines behind those that are still to be written."""
        for line in lines:
            self._outgoing += line
            self._outgoing += b"\n"

    def is_sent(self) -> bool:
        """Whether everything has been given to the system."""
        return not self._outgoing

    def turn(self, wake: socket.socket, timeout_seconds: "float | None") -> List[Dict[str, Any]]:
        """Writes what can be written and returns the replies that have come, waiting for something to happen."""
        poll = select.poll()
        poll.register(self._socket, select.POLLIN | (select.POLLOUT if self._outgoing else 0))
        poll.register(wake, select.POLLIN)
        ready = dict(poll.poll(None if timeout_seconds is None else max(0, round(timeout_seconds * 1000))))
        if wake.fileno() in ready:
            drain(wake)
        found = ready.get(self._socket.fileno(), 0)
        if found & select.POLLOUT:
            self._write()
        return self._read() if found & ~select.POLLOUT else []

    def _write(self) -> None:
        try:
            written = self._socket.send(self._outgoing)
        except BlockingIOError:
            return
        except OSError:
            # What the exporter has said before it closed is still to be read; reading finds the end, too.
            self._outgoing.clear()
            return
        del self._outgoing[:written]

    def _read(self) -> List[Dict[str, Any]]:
        try:
            block = self._socket.recv(65536)
        except BlockingIOError:
            return []
        except OSError as error:
            raise Broken(str(error)) from error
        if not block:
            raise Broken("the exporter has closed the connection")
        self._incoming += block
        *lines, rest = self._incoming.split(b"\n")
        self._incoming = rest
        if len(rest) > REPLY_BYTES_MAX:
            raise Broken("a reply without an end: this is no lifecycle-exporter")
        return [parse(bytes(line)) for line in lines]


def parse(line: bytes) -> Dict[str, Any]:
    """A reply as its fields."""
    try:
        reply = json.loads(line)
    except ValueError:
        reply = None
    if not isinstance(reply, dict) or not isinstance(reply.get("ack", reply.get("rejected")), int):
        raise Broken(f"{bytes(line[:80])!r} is no reply of a lifecycle-exporter")
    return reply


def wait(wake: socket.socket, timeout_seconds: float) -> None:
    """Waits for the wake-up, or as long."""
    poll = select.poll()
    poll.register(wake, select.POLLIN)
    if poll.poll(max(1, round(timeout_seconds * 1000))):
        drain(wake)


def drain(wake: socket.socket) -> None:
    """Reads what has come to wake the sender."""
    try:
        wake.recv(64)
    except OSError:
        pass
