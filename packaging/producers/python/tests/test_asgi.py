"""Requests of an ASGI application, as the application's server sees them and as the exporter shows them."""

import asyncio
import http
import os
import re
import subprocess
import sys
import tempfile
import unittest
import urllib.error
import urllib.request
from pathlib import Path

from lifecycle_events.asgi import LifecycleMiddleware

from .exporter import BINARY, Exporter, needs, wait_for

try:
    import uvicorn
except ImportError:
    uvicorn = None

HERE = Path(__file__).resolve().parents[1]
APPLICATION = """
from lifecycle_events.asgi import LifecycleMiddleware

async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        while True:
            message = await receive()
            await send({"type": message["type"] + ".complete"})
            if message["type"] == "lifespan.shutdown":
                return
    if scope["path"] == "/fails":
        raise RuntimeError("no")
    status = 404 if scope["path"] == "/nothing" else 200
    await send({"type": "http.response.start", "status": status, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"ok"})

app = LifecycleMiddleware(app, api="admin")
"""


class Recorder:
    """A client that keeps what is emitted."""

    def __init__(self):
        self.events = []

    def emit(self, event, /, **fields):
        self.events.append({"event": event, **fields})


def run(app, scope):
    """One request without a server. Returns the messages that were sent."""
    sent = []

    async def send(message):
        sent.append(message)

    asyncio.run(app(scope, None, send))
    return sent


class MiddlewareTest(unittest.TestCase):
    def setUp(self):
        self.client = Recorder()

    def wrap(self, app):
        return LifecycleMiddleware(app, self.client, api="public")

    def test_a_request_is_reported_at_its_start_and_at_its_end(self):
        async def app(scope, receive, send):
            self.assertEqual([event["event"] for event in self.client.events], ["vlog.http.request_started"])
            await send({"type": "http.response.start", "status": 201})
            await send({"type": "http.response.body"})

        sent = run(self.wrap(app), {"type": "http", "method": "PUT", "path": "/ü", "raw_path": b"/%C3%BC"})
        self.assertEqual(len(sent), 2)
        started, finished = self.client.events
        self.assertEqual(started.pop("request"), finished.pop("request"))
        self.assertGreaterEqual(finished.pop("duration"), 0)
        self.assertEqual(started, {"event": "vlog.http.request_started", "api": "public"})
        self.assertEqual(
            finished,
            {"event": "vlog.http.request_finished", "method": "PUT", "endpoint": "/ü", "status_code": 201},
        )

    def test_nothing_of_a_request_keeps_its_end_from_being_reported(self):
        async def app(scope, receive, send):
            del scope["method"], scope["path"]
            for status in scope["statuses"]:
                await send({"type": "http.response.start", **status})

        for about, status, expected in [
            ("an enumeration", {"status": http.HTTPStatus.CREATED}, 201),
            ("none", {"status": None}, 500),
            ("far too large", {"status": 10**5000}, 500),
            ("text", {"status": "many"}, 500),
            ("absent", {}, 500),
        ]:
            with self.subTest(about):
                run(self.wrap(app), {"type": "http", "method": "GET", "path": "/\ud800", "statuses": [status]})
                finished = self.client.events[-1]
                self.assertEqual((finished["method"], finished["endpoint"]), ("GET", "/\ud800"))
                self.assertEqual(finished["status_code"], expected)
        scope = {"type": "http"}
        run(self.wrap(lambda *_: asyncio.sleep(0)), scope)
        finished = self.client.events[-1]
        self.assertEqual((finished["method"], finished["endpoint"], finished["status_code"]), ("", "", 500))

    def test_an_application_that_fails_is_a_500_and_fails_on(self):
        async def app(scope, receive, send):
            raise KeyError("no")

        with self.assertRaises(KeyError):
            run(self.wrap(app), {"type": "http", "method": "GET", "path": "/"})
        self.assertEqual(self.client.events[1]["status_code"], 500)
        self.assertEqual(self.client.events[1]["endpoint"], "/")

    def test_a_client_that_leaves_is_a_499_unless_it_was_answered(self):
        async def app(scope, receive, send):
            if scope["path"] == "/answered":
                await send({"type": "http.response.start", "status": 200})
            raise asyncio.CancelledError

        for path, status in [("/", 499), ("/answered", 200)]:
            with self.assertRaises(asyncio.CancelledError):
                run(self.wrap(app), {"type": "http", "method": "GET", "path": path})
            self.assertEqual(self.client.events[-1]["status_code"], status)

    def test_whatever_is_no_request_passes(self):
        seen = []

        async def app(scope, receive, send):
            seen.append((scope["type"], send))

        async def send(_):
            pass

        for kind in ("websocket", "lifespan"):
            asyncio.run(self.wrap(app)({"type": kind}, None, send))
        self.assertEqual(seen, [("websocket", send), ("lifespan", send)])
        self.assertEqual(self.client.events, [])


@needs(BINARY, "$LIFECYCLE_EXPORTER")
@needs(uvicorn, "uvicorn")
class ServerTest(unittest.TestCase):
    """With a real server in front and the exporter behind."""

    def serve(self, *arguments):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        exporter = Exporter(directory.name)
        self.addCleanup(exporter.close)
        Path(directory.name, "application.py").write_text(APPLICATION, encoding="utf-8")
        log = Path(directory.name, "log")
        with log.open("w", encoding="utf-8") as output:
            server = subprocess.Popen(
                [sys.executable, "-m", "uvicorn", "application:app", "--port", "0", *arguments],
                env={**os.environ, "PYTHONPATH": os.pathsep.join([str(HERE), *sys.path]), "LIFECYCLE_EVENTS_SOCKET": exporter.socket},
                cwd=directory.name,
                stdout=output,
                stderr=output,
            )
        self.addCleanup(server.wait)
        self.addCleanup(server.kill)
        said = lambda: log.read_text(encoding="utf-8")  # noqa: E731
        address = wait_for(lambda: re.search(r"running on (http://\S+)", said()), said)[1]
        return exporter, server, address

    def get(self, address):
        try:
            with urllib.request.urlopen(address) as response:
                return response.status
        except urllib.error.HTTPError as error:
            return error.code
        except urllib.error.URLError:
            return None

    def requests(self, exporter):
        shown = exporter.metrics("vlog")
        return {name: value for name, value in shown.items() if name.startswith("vlog_http_requests_total")}

    def test_paths_are_counted_normalised_by_worker_processes_together(self):
        exporter, _, address = self.serve("--workers", "2")
        wait_for(lambda: self.get(f"{address}/api/videos/1?q=1") == 200)
        for number in range(40):
            self.assertEqual(self.get(f"{address}/api/videos/{number}?q={number}"), 200)
        self.assertEqual(self.get(f"{address}/nothing"), 404)
        self.assertEqual(self.get(f"{address}/fails"), 500)
        label = 'vlog_http_requests_total{{method="GET",endpoint="{}",status_code="{}",api="admin"}}'
        expected = {
            label.format("/api/videos/{id}", 200): 41.0,
            label.format("/nothing", 404): 1.0,
            label.format("/fails", 500): 1.0,
        }
        wait_for(lambda: self.requests(exporter) == expected, lambda: f"{self.requests(exporter)}")
        wait_for(lambda: exporter.metrics("vlog")['vlog_http_requests_in_progress{api="admin"}'] == 0)

    def test_the_end_of_the_server_loses_nothing(self):
        exporter, server, address = self.serve()
        for _ in range(20):
            self.assertEqual(self.get(address), 200)
        server.terminate()
        server.wait(20)
        self.assertEqual(sum(self.requests(exporter).values()), 20)
