"""Plays the transcripts that all clients share; what their steps mean is told beside them."""

import json
import os
import queue
import socket
import tempfile
import threading
import time
import unittest
from pathlib import Path

from lifecycle_events import Client

VECTORS = Path(__file__).resolve().parents[4] / "tests" / "producers" / "vectors"
PATIENCE_SECONDS = 20


def written_out(value):
    """The value with its repeated texts in full."""
    if not isinstance(value, dict):
        return value
    if "repeat" not in value:
        return {name: written_out(each) for name, each in value.items()}
    text = value["repeat"].replace("?", "\ud800") if value.get("broken") else value["repeat"]
    return text * value["times"] + value.get("end", "")


class Player:
    """Both sides of one scene."""

    def __init__(self, path, options):
        self.path = path
        self.rejections = queue.Queue()
        self.closing = None
        self.listener = None
        self.connection = None
        if not options.pop("away", False):
            self.listen(True)
        self.client = Client(
            path,
            on_rejected=self.rejections.put,
            clock=lambda: 1000.5,
            reconnect_seconds=(0.01, 0.05),
            **{"producer": "p", "instance": "i", **options},
        )

    def listen(self, wanted):
        if wanted:
            self.listener = socket.socket(socket.AF_UNIX)
            self.listener.bind(self.path)
            self.listener.listen()
            self.listener.settimeout(PATIENCE_SECONDS)
        else:
            self.listener.close()
            os.unlink(self.path)

    def emit(self, fields, times=1):
        fields = written_out(fields)
        event = fields.pop("event")
        for _ in range(times):
            self.client.emit(event, **fields)

    def accept(self, _):
        self.connection, _ = self.listener.accept()
        self.connection.settimeout(PATIENCE_SECONDS)
        self.lines = self.connection.makefile("rb")

    def read(self, expected):
        line = self.lines.readline()
        assert json.loads(line) == written_out(expected), f"{line!r} instead of {expected}"

    def read_lines(self, count):
        for _ in range(count):
            assert self.lines.readline().endswith(b"\n")

    def write(self, reply):
        self.write_text(json.dumps(reply) + "\n")

    def write_text(self, text):
        self.connection.sendall(text.encode())

    def cut(self, _):
        self.lines.close()
        self.connection.close()

    def end(self, _):
        try:
            rest = self.lines.read()
        except ConnectionResetError:
            rest = b""
        assert rest == b"", rest
        self.cut(True)

    def until(self, expected):
        deadline = time.monotonic() + PATIENCE_SECONDS
        while (now := {key: self.client.stats()._asdict()[key] for key in expected}) != expected:
            assert time.monotonic() < deadline, f"{now} instead of {expected}"
            time.sleep(0.001)

    def rejection(self, expected):
        assert self.rejections.get(timeout=PATIENCE_SECONDS)._asdict() == written_out(expected)

    def close(self, seconds):
        result = queue.Queue()
        threading.Thread(target=lambda: result.put(self.client.close(seconds)), daemon=True).start()
        self.closing = result

    def closed(self, expected):
        assert self.closing.get(timeout=PATIENCE_SECONDS) == expected

    def finish(self):
        self.client.close(0)
        if self.connection is not None:
            self.cut(True)
        if self.listener is not None:
            self.listener.close()
        stats = self.client.stats()
        assert stats.emitted == stats.acknowledged + stats.pending + stats.dropped, stats


class Vectors(unittest.TestCase):
    """A test for each transcript."""

    def play(self, path):
        scene, *steps = map(json.loads, path.read_text(encoding="utf-8").splitlines())
        with tempfile.TemporaryDirectory() as directory:
            player = Player(os.path.join(directory, "events.sock"), scene["client"])
            try:
                for number, step in enumerate(steps, 2):
                    (verb, value), *more = step.items()
                    with self.subTest(line=number, step=step):
                        getattr(player, verb)(value, **dict(more))
            finally:
                player.finish()


for _path in sorted(VECTORS.glob("*.ndjson")):
    setattr(Vectors, f"test_{_path.stem}", lambda self, path=_path: self.play(path))
assert any(name.startswith("test_") for name in dir(Vectors)), f"no transcripts in {VECTORS}"
