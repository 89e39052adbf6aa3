"""The recording server's own metrics and the exporter's are the same, whatever happens.

The server is no package of a registry, so these tests use a stand-in for it (`tests/producers/recording_server`), or the server itself
where it is installed. What is recorded is told by the test in both cases.
"""

import gc
import json
import os
import random
import subprocess
import sys
import tempfile
import threading
import unittest
import urllib.request
from pathlib import Path

from lifecycle_events import Client, talk_recording

from .exporter import BINARY, Exporter, needs, series, wait_for
from .listener import Listener

STAND_IN = Path(__file__).resolve().parents[4] / "tests" / "producers" / "recording_server"

try:
    import prometheus_client
except ImportError:
    prometheus_client = None

if prometheus_client is not None:
    try:
        from nextcloud.talk.recording import Server
    except ImportError:
        sys.path.append(str(STAND_IN))
        from nextcloud.talk.recording import Server

CONFIGURATION = "[http]\nlisten = 127.0.0.1:0\n[backend]\nbackends = a\n[a]\nurl = https://one.example.com\nsecret = s\n"
BACKENDS = ["https://one.example.com/", "https://two.example.com/"]


class Service:
    """A recording that ends as the test says."""

    running = []

    def __init__(self, backend, token, status, owner):
        self.backend, self.token = backend, token
        self.started, self.ended = threading.Event(), threading.Event()
        self.fails = self.upload_fails = self.duration_fails = False
        Service.running.append(self)

    def start(self, *_):
        self.started.set()
        self.ended.wait()
        if self.fails:
            raise RuntimeError("failed")

    def stop(self, *_):
        self.ended.set()
        if self.upload_fails:
            raise RuntimeError("upload failed")

    def getRecordingDuration(self):
        if self.duration_fails:
            raise RuntimeError("who knows")
        return len(self.token)


def own():
    """What the server itself shows, by the names of its documentation."""
    shown = series(prometheus_client.generate_latest().decode())
    shown = {name.replace("duration_seconds_total", "duration_seconds"): value for name, value in shown.items()}
    return {name: value for name, value in shown.items() if name.startswith("recording_") and "_created" not in name}


def start(backend, token):
    """A request to start; returns the recording, which has begun."""
    Server.startRecording(backend, token, {"start": {"owner": "o", "actor": {"type": "users", "id": "u"}}})
    service = Service.running[-1]
    assert service.started.wait(20)
    return service


def stop(service):
    """A request to stop."""
    Server.stopRecording(service.backend, service.token, {"stop": {}})


@needs(BINARY, "$LIFECYCLE_EXPORTER")
@needs(prometheus_client, "prometheus_client")
class TalkRecordingTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        directory = tempfile.TemporaryDirectory()
        cls.addClassCleanup(directory.cleanup)
        cls.exporter = Exporter(directory.name)
        cls.addClassCleanup(cls.exporter.close)
        cls.rejections = []
        cls.client = Client(cls.exporter.socket, producer="talk-recording", on_rejected=cls.rejections.append)
        cls.addClassCleanup(cls.client.close)
        Server.Service = Service
        assert talk_recording.report(cls.client)
        cls.configuration = os.path.join(directory.name, "server.conf")
        Path(cls.configuration).write_text(
            "[backend]\nbackends = a, b\n[a]\nurl = https://one.example.com\nsecret = s\n"
            "[b]\nurl = https://two.example.com/\nsecret = s\n[signaling]\nsignalings = s\n[s]\nurl = https://signaling.example.com\ninternalsecret = s\n",
            encoding="utf-8",
        )
        Server.config.load(cls.configuration)

    def assert_same(self):
        """Every series of the server is the exporter's; what the server does not show yet is 0 there."""

        def same():
            theirs, ours = own(), self.exporter.metrics("recording")
            return theirs.items() <= ours.items() and all(
                value == 0 for name, value in ours.items() if name not in theirs
            )

        wait_for(same, lambda: f"{own()}\n{self.exporter.metrics('recording')}")
        self.assertEqual(self.rejections, [])

    def test_the_configured_backends_are_at_0_before_anything_happens(self):
        expected = {f'recording_recordings_failed_total{{backend="{backend}"}}' for backend in BACKENDS}
        wait_for(lambda: expected <= set(self.exporter.metrics("recording")))

    def test_a_recording_that_goes_well(self):
        service = start(BACKENDS[0], "well")
        self.assert_same()
        stop(service)
        self.assert_same()

    def test_a_recording_that_cannot_start(self):
        service = start(BACKENDS[0], "cannot")
        service.fails = True
        service.ended.set()
        self.assert_same()

    def test_a_stop_before_the_start_was_done(self):
        service = start(BACKENDS[0], "early")
        service.fails = True
        stop(service)
        self.assert_same()

    def test_a_backend_that_cannot_be_told_of_the_end_is_a_failed_upload(self):
        service = start(BACKENDS[0], "offline")
        service.upload_fails = True
        stop(service)
        self.assert_same()

    def test_a_room_that_is_recorded_again_while_its_former_recording_is_uploaded(self):
        first = start(BACKENDS[0], "again")
        held = threading.Event()
        first.stop = lambda *_: (first.ended.set(), held.wait())
        stop(first)
        second = start(BACKENDS[0], "again")
        self.assert_same()
        stop(second)
        held.set()
        self.assert_same()

    def test_a_late_failure_that_takes_the_next_recording_of_its_room_off_the_list(self):
        first = start(BACKENDS[0], "late")
        first.fails = True
        held = threading.Event()
        first.stop = lambda *_: held.wait()
        stop(first)
        second = start(BACKENDS[0], "late")
        first.ended.set()
        self.assert_same()
        held.set()
        self.assert_same()
        second.ended.set()

    def test_a_stop_that_overtakes_its_start(self):
        held = threading.Event()
        original = Server._startRecordingService
        Server._startRecordingService = lambda *arguments: (held.wait(), original(*arguments))
        self.addCleanup(setattr, Server, "_startRecordingService", original)
        Server.startRecording(BACKENDS[0], "fast", {"start": {"owner": "o", "actor": {"type": "users", "id": "u"}}})
        service = Service.running[-1]
        stop(service)
        wait_for(lambda: not Server.servicesStopping)
        held.set()
        self.assert_same()

    def test_a_duration_that_cannot_be_told(self):
        service = start(BACKENDS[0], "unknown")
        service.duration_fails = True
        hook, threading.excepthook = threading.excepthook, lambda _: None
        self.addCleanup(setattr, threading, "excepthook", hook)
        stop(service)
        self.assert_same()

    def test_anything_in_any_order(self):
        chance = random.Random(20261121)
        running = []
        for _ in range(300):
            if running and chance.random() < 0.5:
                service = running.pop(chance.randrange(len(running)))
                what = chance.random()
                service.fails = what < 0.2
                service.upload_fails = what > 0.7
                if service.fails:
                    service.ended.set()
                else:
                    stop(service)
            else:
                token = f"room{chance.randrange(40)}"
                backend = chance.choice(BACKENDS)
                if f"{backend}-{token}" not in Server.services:
                    running.append(start(backend, token))
            if chance.random() < 0.2:
                self.assert_same()
            # A failure by itself takes the recording off the list in its own time.
            wait_for(lambda: {f"{s.backend}-{s.token}" for s in running} == set(Server.services))
        for service in running:
            stop(service)
        self.assert_same()

    def test_a_recording_is_not_kept_alive(self):
        import weakref

        service = start(BACKENDS[0], "alive")
        gone = weakref.ref(service)
        stop(service)
        Service.running.clear()
        del service
        wait_for(lambda: (gc.collect(), gone() is None)[1])


@needs(prometheus_client, "prometheus_client")
class BackendsTest(unittest.TestCase):
    """Which backends are announced, and by which names."""

    def announced(self, text):
        with tempfile.TemporaryDirectory() as directory:
            path = os.path.join(directory, "server.conf")
            Path(path).write_text(text, encoding="utf-8")
            config = type(Server.config)()
            config.load(path)
            return talk_recording.configured_backends(path, config.getBackendSecret)

    def test_each_is_announced_once_as_a_nextcloud_server_names_itself(self):
        self.assertEqual(
            self.announced(
                "[backend]\nbackends = a, b , again\n[a]\nurl = https://one.example.com\nsecret = s\n"
                "[b]\nurl = https://two.example.com/cloud//\nsecret = s\n[again]\nurl = https://one.example.com/\nsecret = s\n"
            ),
            ["https://one.example.com/", "https://two.example.com/cloud/"],
        )

    def test_those_that_the_server_refuses_are_not_announced(self):
        self.assertEqual(
            self.announced(
                "[backend]\nbackends = good, lacks, empty, nowhere, broken\n[good]\nurl = https://one.example.com\nsecret = s\n"
                "[lacks]\nurl = https://two.example.com\n[empty]\nurl = https://three.example.com\nsecret =\n[nowhere]\nsecret = s\n"
                "[broken]\nurl = https://four.example.com\nsecret = 50%\n"
            ),
            ["https://one.example.com/"],
        )

    def test_a_common_secret_is_one_of_each(self):
        backends = "backends = a\n[a]\nurl = https://one.example.com\n"
        self.assertEqual(self.announced(f"[backend]\nallowall = true\nsecret = s\n{backends}"), ["https://one.example.com/"])
        self.assertEqual(self.announced(f"[backend]\nallowall = true\n{backends}"), [])
        self.assertEqual(self.announced("[backend]\nallowall = true\nsecret = s\n"), [])
        self.assertEqual(self.announced("[http]\n"), [])


class ProgramTest(unittest.TestCase):
    """The program as a unit would start it, with the stand-in."""

    def run_program(self, *arguments, **environment):
        return subprocess.Popen(
            [sys.executable, "-m", "lifecycle_events.talk_recording", *arguments],
            env={**os.environ, "PYTHONPATH": os.pathsep.join([str(STAND_IN), *sys.path]), **environment},
            cwd=Path(__file__).resolve().parents[1],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    @needs(prometheus_client, "prometheus_client")
    def test_arguments_are_the_servers(self):
        self.assertRegex(self.run_program("--version").communicate()[0], r"^\d+\.\d+\.\d+\n$")
        said, _ = self.run_program("--nonsense").communicate()
        self.assertIn("unrecognized arguments: --nonsense", said)

    def test_without_a_server_one_line_says_what_is_missing(self):
        with tempfile.TemporaryDirectory() as directory:
            program = self.run_program("--config", "server.conf", PYTHONPATH=directory)
            said, _ = program.communicate()
            self.assertEqual(program.returncode, 1)
            self.assertRegex(said, r"^lifecycle_events\.talk_recording: the Nextcloud Talk recording server is not installed .*: install .*\n$")
            Path(directory, "nextcloud/talk/recording").mkdir(parents=True)
            Path(directory, "nextcloud/talk/recording/Server.py").write_text("import pyvirtualdisplay_that_lacks\n", encoding="utf-8")
            program = self.run_program(PYTHONPATH=directory)
            said, _ = program.communicate()
            self.assertEqual(program.returncode, 1)
            self.assertRegex(said, r"^lifecycle_events\.talk_recording: .* No module named 'pyvirtualdisplay_that_lacks': install .*\n$")

    def test_a_server_of_another_making_starts_and_is_said_to_be_unknown(self):
        with tempfile.TemporaryDirectory() as directory:
            package = Path(directory) / "nextcloud" / "talk" / "recording"
            package.mkdir(parents=True)
            for name, text in [("__init__", ""), ("Server", "config = None\n"), ("__main__", "print('runs')\n")]:
                (package / f"{name}.py").write_text(text, encoding="utf-8")
            said, _ = self.run_program(PYTHONPATH=directory).communicate()
        self.assertIn("this recording server is not known", said)
        self.assertIn("runs", said)

    @needs(prometheus_client, "prometheus_client")
    def test_a_backend_has_one_name_however_its_requests_spell_it(self):
        with tempfile.TemporaryDirectory() as directory:
            listener = Listener(os.path.join(directory, "events.sock"))
            self.addCleanup(listener.close)
            configuration = Path(directory) / "server.conf"
            configuration.write_text(CONFIGURATION, encoding="utf-8")
            server = self.run_program("--config", str(configuration), LIFECYCLE_EVENTS_SOCKET=os.path.join(directory, "events.sock"))
            self.addCleanup(server.communicate)
            self.addCleanup(server.kill)
            address = server.stdout.readline().strip()
            backends = ["https://one.example.com", "https://one.example.com/", "https://other.example.com"]
            for number, backend in enumerate(backends):
                post(address, f"r{number}", {"type": "start", "start": {"owner": "o", "actor": {"type": "users", "id": "u"}}}, backend)
                listener.wait_for(lambda sessions: sessions and len(sessions[0]) == 4 + number)
        hello, *events = listener.sessions[0]
        self.assertEqual(hello["hello"], "talk-recording")
        self.assertEqual(
            [(event["event"], event.get("backend")) for event in events],
            [
                ("recording.server_started", None),
                ("recording.backend_configured", "https://one.example.com/"),
                ("recording.started", "https://one.example.com/"),
                ("recording.started", "https://one.example.com/"),
                ("recording.started", "https://other.example.com"),
            ],
        )

    @needs(BINARY, "$LIFECYCLE_EXPORTER")
    @needs(prometheus_client, "prometheus_client")
    def test_a_killed_server_has_failed_what_it_recorded_and_the_next_one_counts_on(self):
        with tempfile.TemporaryDirectory() as directory:
            exporter = Exporter(directory)
            self.addCleanup(exporter.close)
            configuration = Path(directory) / "server.conf"
            configuration.write_text(CONFIGURATION, encoding="utf-8")
            for run in (1, 2, 3):
                server = self.run_program("--config", str(configuration), LIFECYCLE_EVENTS_SOCKET=exporter.socket)
                address = server.stdout.readline().strip()
                post(address, "r1", {"type": "start", "start": {"owner": "o", "actor": {"type": "users", "id": "u"}}})
                post(address, "r2", {"type": "start", "start": {"owner": "o", "actor": {"type": "users", "id": "u"}}})
                label = '{backend="https://one.example.com/"}'
                running = f"recording_recordings_current{label}"
                wait_for(lambda: exporter.metrics("recording").get(f"recording_recordings_total{label}") == 2 * run, exporter._said)
                wait_for(lambda: exporter.metrics("recording")[running] == 2)
                wait_for(lambda: exporter.metrics("recording")[f"recording_recordings_failed_total{label}"] == run - 1)
                post(address, "r1", {"type": "stop", "stop": {"actor": {"type": "users", "id": "offline"}}})
                wait_for(lambda: exporter.metrics("recording")[f"recording_recordings_uploads_failed_total{label}"] == run)
                with urllib.request.urlopen(f"{address}/metrics") as response:
                    shown = series(response.read().decode())
                self.assertEqual(shown[running], 1)
                self.assertEqual(shown[f"recording_recordings_duration_seconds_total{label}"], 7)
                self.assertEqual(exporter.metrics("recording")[f"recording_recordings_duration_seconds{label}"], 7 * run)
                server.kill()
                server.communicate()


def post(address, token, data, backend="https://one.example.com/"):
    """A request of a Nextcloud server."""
    request = urllib.request.Request(
        f"{address}/api/v1/room/{token}",
        json.dumps(data).encode(),
        {"Talk-Recording-Backend": backend},
    )
    with urllib.request.urlopen(request) as response:
        assert response.status == 200
