"""What stands in for the exporter: a socket that acknowledges every line."""

import json
import socket
import threading

PATIENCE_SECONDS = 20


class Listener:
    """An exporter that acknowledges everything, one connection after another, and keeps the lines."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.bind(path)
        self.socket.listen()
        self.sessions = []
        self.changed = threading.Condition()
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                connection, _ = self.socket.accept()
            except OSError:
                return
            threading.Thread(target=self._hold, args=[connection], daemon=True).start()

    def _hold(self, connection):
        try:
            self._serve(connection)
        except ConnectionError:
            pass  # The client was killed.

    def _serve(self, connection):
        lines = []
        with connection, connection.makefile("rb") as incoming:
            for line in incoming:
                with self.changed:
                    lines.append(json.loads(line))
                    if len(lines) == 1:
                        self.sessions.append(lines)
                    self.changed.notify_all()
                if lines[-1] == {"bye": True}:
                    return
                connection.sendall(json.dumps({"ack": len(lines) - 1}).encode() + b"\n")

    def wait_for(self, condition):
        with self.changed:
            assert self.changed.wait_for(lambda: condition(self.sessions), PATIENCE_SECONDS), self.sessions

    def close(self):
        self.socket.close()
