"""A real ASGI server with the application of `tests/producers/programs`, for the tests that need one."""

import http.client
import os
import re
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

from .exporter import wait_for

try:
    import uvicorn
except ImportError:
    uvicorn = None

HERE = Path(__file__).resolve().parents[1]
PROGRAMS = HERE.parents[2] / "tests" / "producers" / "programs"


class Server:
    """A running uvicorn."""

    def __init__(self, socket, *arguments):
        self.log = tempfile.TemporaryFile("w+")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "uvicorn", "--port", "0", *arguments],
            env={**os.environ, "PYTHONPATH": os.pathsep.join([str(HERE), *sys.path]), "LIFECYCLE_EVENTS_SOCKET": socket},
            cwd=PROGRAMS,
            stdout=self.log,
            stderr=self.log,
        )
        self._address = None

    def said(self):
        """The log."""
        # Not by reading: the position in the file is the server's, too.
        return os.pread(self.log.fileno(), 1 << 20, 0).decode()

    @property
    def address(self):
        """Host and port, as soon as it serves."""
        if self._address is None:
            self._address = wait_for(lambda: re.search(r"running on http://(\S+)", self.said()), self.said)[1]
        return self._address

    def connect(self):
        """A connection of HTTP."""
        return http.client.HTTPConnection(self.address, timeout=20)

    def get(self, path):
        """Status and body of an answer; `None`: there was none."""
        connection = self.connect()
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            return response.status, response.read()
        except OSError:
            return None
        finally:
            connection.close()

    def terminate(self):
        """Sends SIGTERM."""
        self.process.send_signal(signal.SIGTERM)

    def close(self):
        """Ends it, however it is."""
        self.process.kill()
        self.process.wait()
        self.log.close()
