"""Requests of an ASGI application, as the application's server sees them and as the exporter shows them."""

import asyncio
import http
import os
import signal
import subprocess
import sys
import tempfile
import threading
import unittest
import unittest.mock

from lifecycle_events import Client
from lifecycle_events.asgi import LifecycleMiddleware

from .exporter import BINARY, Exporter, needs, wait_for
from .listener import PATIENCE_SECONDS, Listener
from .server import HERE, Server, uvicorn


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


def events_of(session):
    """The names of a session's events, and its goodbye."""
    return ["bye" if "bye" in line else line["event"].rpartition(".")[2] for line in session[1:]]


class GoodbyeTest(unittest.TestCase):
    """The end of what the middleware has made: no event is lost, and the session ends in good order."""

    def setUp(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.path = os.path.join(directory.name, "events.sock")
        self.listener = Listener(self.path)
        self.addCleanup(self.listener.close)
        environment = unittest.mock.patch.dict(os.environ, LIFECYCLE_EVENTS_SOCKET=self.path)
        environment.start()
        self.addCleanup(environment.stop)

    async def request(self, app):
        async def send(_):
            pass

        await app({"type": "http", "method": "GET", "path": "/"}, None, send)

    def live(self, app):
        """Startup, a request and shutdown of an application. Returns what had been said when each message was passed on."""
        wrapped = LifecycleMiddleware(app, producer="p")
        said = {}

        async def send(message):
            said[message["type"]] = [events_of(session) for session in self.listener.sessions]

        async def serve():
            messages = asyncio.Queue()
            messages.put_nowait({"type": "lifespan.startup"})
            lifespan = asyncio.ensure_future(wrapped({"type": "lifespan"}, messages.get, send))
            await asyncio.wait([lifespan, asyncio.ensure_future(self.request(wrapped))], return_when=asyncio.FIRST_COMPLETED)
            messages.put_nowait({"type": "lifespan.shutdown"})
            await asyncio.wait([lifespan])
            lifespan.exception()

        asyncio.run(serve())
        return said

    def test_goodbye_is_said_before_the_server_hears_that_the_application_is_done(self):
        for end in ("complete", "failed"):

            async def app(scope, receive, send):
                if scope["type"] == "lifespan":
                    await receive()
                    await send({"type": "lifespan.startup.complete"})
                    await receive()
                    await send({"type": f"lifespan.shutdown.{end}"})

            with self.subTest(end):
                self.listener.sessions.clear()
                said = self.live(app)
                self.assertEqual(said["lifespan.startup.complete"], [])
                self.assertEqual(said[f"lifespan.shutdown.{end}"], [["request_started", "request_finished", "bye"]])

    def test_goodbye_is_said_by_an_application_that_raises_in_its_shutdown(self):
        async def app(scope, receive, send):
            if scope["type"] == "lifespan":
                await receive()
                await send({"type": "lifespan.startup.complete"})
                await receive()
                raise RuntimeError("no")

        self.live(app)
        self.assertEqual([events_of(session) for session in self.listener.sessions], [["request_started", "request_finished", "bye"]])

    def test_without_a_lifespan_sigterm_is_the_end_of_what_is_in_progress(self):
        """A server has a handler of its own, goes on with the requests that it has, and may take another one."""
        handled = []
        former = signal.signal(signal.SIGTERM, lambda number, _: handled.append(number))
        self.addCleanup(signal.signal, signal.SIGTERM, former)

        async def app(scope, receive, send):
            if not handled:
                signal.raise_signal(signal.SIGTERM)
            await send({"type": "http.response.start", "status": 200})

        wrapped = LifecycleMiddleware(app, producer="p")
        for count in (1, 2):
            asyncio.run(self.request(wrapped))
            self.assertEqual([events_of(session) for session in self.listener.sessions], [["request_started", "request_finished", "bye"]] * count)
        self.assertEqual(handled, [signal.SIGTERM])

    def test_sigterm_with_nothing_in_progress_is_the_end_at_once(self):
        program = (
            "import asyncio, signal\n"
            "from lifecycle_events.asgi import LifecycleMiddleware\n"
            "async def app(scope, receive, send):\n"
            "    pass\n"
            "app = LifecycleMiddleware(app)\n"
            "asyncio.run(app({'type': 'http', 'method': 'GET', 'path': '/'}, None, None))\n"
            "signal.raise_signal(signal.SIGTERM)\n"
        )
        done = subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "PYTHONPATH": str(HERE)},
            timeout=PATIENCE_SECONDS,
            check=False,
        )
        self.assertEqual(done.returncode, -signal.SIGTERM)
        self.assertEqual([events_of(session) for session in self.listener.sessions], [["request_started", "request_finished", "bye"]])

    def test_a_client_of_the_host_is_the_hosts_to_close(self):
        async def app(scope, receive, send):
            await send({"type": "lifespan.shutdown.complete"})

        async def send(_):
            pass

        with Client(self.path) as client:
            asyncio.run(LifecycleMiddleware(app, client)({"type": "lifespan"}, None, send))
            self.assertFalse(client.is_closed())


class ServerCase(unittest.TestCase):
    """Starts servers."""

    def serve(self, socket, *arguments):
        server = Server(socket, *arguments)
        self.addCleanup(server.close)
        return server


@needs(uvicorn, "uvicorn")
class TerminatedServerTest(ServerCase):
    """Real servers, each ended by SIGTERM."""

    ENDS = 10
    MODES = {
        "with a lifespan": ["app:app"],
        "without one": ["--factory", "app:create_without_lifespan"],
        "with the lifespan off": ["--lifespan", "off", "app:app"],
    }

    def setUp(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.path = os.path.join(directory.name, "events.sock")
        self.listener = Listener(self.path)
        self.addCleanup(self.listener.close)

    def test_every_end_says_goodbye(self):
        for about, arguments in self.MODES.items():
            with self.subTest(about):
                self.listener.sessions.clear()
                servers = [self.serve(self.path, *arguments) for _ in range(self.ENDS)]
                for server in servers:
                    self.assertEqual(server.get("/"), (200, b"ok"), server.said())
                    server.terminate()
                for server in servers:
                    server.process.wait(PATIENCE_SECONDS)
                ends = [events_of(session) for session in self.listener.sessions]
                self.assertEqual(ends, [["request_started", "request_finished", "bye"]] * self.ENDS)

    def test_a_request_in_progress_is_reported_to_its_end_and_then_goodbye_is_said(self):
        for about, arguments in self.MODES.items():
            with self.subTest(about):
                self.listener.sessions.clear()
                server = self.serve(self.path, *arguments)
                connection = server.connect()
                self.addCleanup(connection.close)
                connection.putrequest("POST", "/")
                connection.putheader("Content-Length", "2")
                connection.endheaders()
                self.listener.wait_for(lambda sessions: sessions and len(sessions[0]) == 2)
                server.terminate()
                wait_for(lambda: "Waiting for connections to close" in server.said(), server.said)
                connection.send(b"ab")
                self.assertEqual(connection.getresponse().status, 200)
                server.process.wait(PATIENCE_SECONDS)
                ends = [events_of(session) for session in self.listener.sessions]
                self.assertEqual(ends, [["request_started", "request_finished", "bye"]])


@needs(uvicorn, "uvicorn")
class LongPathTest(ServerCase):
    """A path is of any length that the server takes, and its request ends all the same."""

    def test_a_path_of_any_length_is_reported_and_cut(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        path = os.path.join(directory.name, "events.sock")
        listener = Listener(path)
        self.addCleanup(listener.close)
        server = self.serve(path, "--h11-max-incomplete-event-size", "200000", "app:app")
        texts = [
            ("a" * 900, "a" * 900),
            ("a" * 70_000, "a" * 4092 + "…"),
            ("%C3%A9" * 20_000, "é" * 2046 + "…"),
            ("%ff" * 5, "\ufffd" * 5),
        ]
        for text, _ in texts:
            self.assertEqual(server.get(f"/{text}"), (200, b"ok"), server.said())
        listener.wait_for(lambda sessions: sessions and len(sessions[0]) == 1 + 2 * len(texts))
        endpoints = [line["endpoint"] for line in listener.sessions[0] if "endpoint" in line]
        self.assertEqual(endpoints, [f"/{reported}" for _, reported in texts])


@needs(uvicorn, "uvicorn")
class WorkersTest(ServerCase):
    """A real server of several worker processes: runs of one producer, connected at once."""

    WORKERS = 4
    #: How long uvicorn waits for a worker's answer. It waits that long for one that is killed before it has answered.
    ANSWER_SECONDS = 60

    def setUp(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.listener = Listener(os.path.join(directory.name, "events.sock"))
        self.addCleanup(self.listener.close)
        # A busy machine is no reason to replace a worker.
        arguments = ["--workers", str(self.WORKERS), "--timeout-worker-healthcheck", str(self.ANSWER_SECONDS), "app:app"]
        self.server = self.serve(os.path.join(directory.name, "events.sock"), *arguments)

    def load(self):
        """Requests, without a pause, until the test ends."""
        stop = threading.Event()
        paths = ["/slow/0.05", "/", "/api/videos/1", "/pid"]

        def ask(path):
            while not stop.is_set():
                self.server.get(path)

        threads = [threading.Thread(target=ask, args=[path]) for path in paths]

        def end():
            stop.set()
            for thread in threads:
                thread.join()

        self.addCleanup(end)
        for thread in threads:
            thread.start()
        return end

    def workers(self):
        """The sessions by the process that they come from, as soon as each has said something."""
        found = {}
        for session in self.listener.sessions:
            if len(session) > 1:
                found.setdefault(int(session[1]["request"].split("-")[1]), []).append(session)
        return found

    def test_a_worker_that_is_killed_and_replaced_leaves_the_others_alone(self):
        wait_for(lambda: self.server.get("/") == (200, b"ok"), self.server.said)
        end_load = self.load()
        wait_for(lambda: len(self.workers()) == self.WORKERS, self.server.said)
        killed, *others = self.workers()
        os.kill(killed, signal.SIGKILL)
        wait_for(lambda: len(self.workers()) == self.WORKERS + 1, self.server.said, 2 * self.ANSWER_SECONDS)
        before = {worker: len(self.workers()[worker][0]) for worker in others}
        wait_for(lambda: all(len(self.workers()[worker][0]) > before[worker] for worker in others), self.server.said)
        end_load()
        self.server.terminate()
        self.server.process.wait(PATIENCE_SECONDS)
        workers = self.workers()
        self.assertEqual({worker: len(sessions) for worker, sessions in workers.items()}, dict.fromkeys(workers, 1), "none came back")
        hellos = [session[0] for session in self.listener.sessions]
        self.assertEqual({hello["hello"] for hello in hellos}, {"uvicorn"})
        self.assertEqual(len({hello["instance"] for hello in hellos}), self.WORKERS + 1)
        for worker, [session] in workers.items():
            events = events_of(session)
            if worker != killed:
                self.assertEqual(events.pop(), "bye")
                self.assertEqual(events.count("request_started"), events.count("request_finished"))
            self.assertNotIn("bye", events)


@needs(BINARY, "$LIFECYCLE_EXPORTER")
@needs(uvicorn, "uvicorn")
class ServerTest(ServerCase):
    """With a real server in front and the exporter behind."""

    def setUp(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.exporter = Exporter(directory.name)
        self.addCleanup(self.exporter.close)

    def requests(self):
        shown = self.exporter.metrics("vlog")
        return {name: value for name, value in shown.items() if name.startswith("vlog_http_requests_total")}

    def test_paths_are_counted_normalised_by_worker_processes_together(self):
        server = self.serve(self.exporter.socket, "--workers", "2", "app:app")
        wait_for(lambda: server.get("/api/videos/1?q=1") == (200, b"ok"), server.said)
        for number in range(40):
            self.assertEqual(server.get(f"/api/videos/{number}?q={number}"), (200, b"ok"))
        self.assertEqual(server.get("/nothing")[0], 404)
        self.assertEqual(server.get("/fails")[0], 500)
        label = 'vlog_http_requests_total{{method="GET",endpoint="{}",status_code="{}",api="admin"}}'
        expected = {
            label.format("/api/videos/{id}", 200): 41.0,
            label.format("/nothing", 404): 1.0,
            label.format("/fails", 500): 1.0,
        }
        wait_for(lambda: self.requests() == expected, lambda: f"{self.requests()}\n{server.said()}")
        wait_for(lambda: self.exporter.metrics("vlog")['vlog_http_requests_in_progress{api="admin"}'] == 0)

    def test_the_end_of_the_server_loses_nothing(self):
        server = self.serve(self.exporter.socket, "app:app")
        for _ in range(20):
            self.assertEqual(server.get("/"), (200, b"ok"))
        server.terminate()
        server.process.wait(PATIENCE_SECONDS)
        self.assertEqual(sum(self.requests().values()), 20)
