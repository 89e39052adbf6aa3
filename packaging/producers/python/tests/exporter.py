"""The exporter itself, for the tests that need it: `LIFECYCLE_EXPORTER` names its binary."""

import os
import re
import subprocess
import time
import unittest
import urllib.request

BINARY = os.environ.get("LIFECYCLE_EXPORTER")
PATIENCE_SECONDS = 20


def needs(condition, what):
    """Skips a test for lack of something, or fails it where `CI` is set."""
    if not condition and os.environ.get("CI"):
        raise AssertionError(f"{what} is missing, and CI is set")
    return unittest.skipUnless(condition, f"{what} is missing")


class Exporter:
    """A running exporter."""

    def __init__(self, directory):
        self.socket = os.path.join(directory, "exporter.sock")
        self.log = os.path.join(directory, "exporter.log")
        with open(self.log, "w", encoding="utf-8") as log:
            self.process = subprocess.Popen(
                [BINARY, "--config", "/dev/null", "--listen", "127.0.0.1:0", "--socket", self.socket], stderr=log
            )
        self.address = wait_for(lambda: re.search(r"metrics on (\S+)", self._said()))[1]

    def _said(self):
        assert self.process.poll() is None, "the exporter has ended"
        with open(self.log, encoding="utf-8") as log:
            return log.read()

    def metrics(self, system):
        """The series of a system, by name with labels. Those of the exporter itself come along; they are left out."""
        with urllib.request.urlopen(f"http://{self.address}/metrics?system={system}") as response:
            every = series(response.read().decode())
        own = ("lifecycle_exporter_", "process_")
        return {name: value for name, value in every.items() if not name.startswith(own)}

    def close(self):
        """Ends it."""
        self.process.terminate()
        self.process.wait()


def series(text):
    """The series of an exposition with their values."""
    lines = [line.rpartition(" ") for line in text.splitlines() if line and not line.startswith("#")]
    return {name: float(value) for name, _, value in lines}


def wait_for(condition, why=lambda: "in vain", seconds=PATIENCE_SECONDS):
    """Waits until a condition holds, and returns its value."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, why()
        time.sleep(0.002)
    return value
