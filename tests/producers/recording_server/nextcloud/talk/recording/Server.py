"""The functions and metrics of the recording server; see the package."""

import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock, Thread

from prometheus_client import REGISTRY, Counter, Gauge, generate_latest

from .Config import config
from .Service import Service

metricsRecordingsCurrent = Gauge("recording_recordings_current", "Recordings now", ["backend"])
metricsRecordingsFailedTotal = Counter("recording_recordings_failed_total", "Failed recordings", ["backend"])
metricsRecordingsUploadsFailedTotal = Counter("recording_recordings_uploads_failed_total", "Failed uploads", ["backend"])
metricsRecordingsTotal = Counter("recording_recordings_total", "Recordings", ["backend"])
metricsRecordingsDurationSeconds = Counter("recording_recordings_duration_seconds", "Their duration", ["backend"])

services = {}
servicesStopping = {}
servicesLock = Lock()


def startRecording(backend, token, data):
    """A request to start."""
    key = f"{backend}-{token}"
    with servicesLock:
        if key in services:
            return {}
        service = Service(backend, token, data["start"].get("status"), data["start"]["owner"])
        services[key] = service
    actor = data["start"]["actor"]
    Thread(target=_startRecordingService, args=[service, actor["type"], actor["id"]], daemon=True).start()
    return {}


def _startRecordingService(service, actorType, actorId):
    key = f"{service.backend}-{service.token}"
    metricsRecordingsCurrent.labels(service.backend).inc()
    metricsRecordingsTotal.labels(service.backend).inc()
    try:
        service.start(actorType, actorId)
    except Exception:
        with servicesLock:
            if key not in services:
                return  # It was stopped before it had started.
            services.pop(key)
            metricsRecordingsCurrent.labels(service.backend).dec()
            metricsRecordingsFailedTotal.labels(service.backend).inc()


def stopRecording(backend, token, data):
    """A request to stop."""
    key = f"{backend}-{token}"
    with servicesLock:
        if key not in services:
            if key in servicesStopping:
                return {}
            raise LookupError(key)
        service = services[key]
        services.pop(key)
        servicesStopping[key] = service
    actor = data["stop"].get("actor", {})
    Thread(target=_stopRecordingService, args=[service, actor.get("type"), actor.get("id")], daemon=True).start()
    return {}


def _stopRecordingService(service, actorType, actorId):
    key = f"{service.backend}-{service.token}"
    try:
        service.stop(actorType, actorId)
    except Exception:
        # The upload is not tried when the backend could not be told of the end.
        metricsRecordingsUploadsFailedTotal.labels(service.backend).inc()
    finally:
        with servicesLock:
            servicesStopping.pop(key, None)
            metricsRecordingsCurrent.labels(service.backend).dec()
            metricsRecordingsDurationSeconds.labels(service.backend).inc(service.getRecordingDuration())


class Handler(BaseHTTPRequestHandler):
    """The HTTP interface, without signatures."""

    def do_GET(self):
        """Metrics."""
        self._answer(200, generate_latest(REGISTRY))

    def do_POST(self):
        """Start or stop a recording."""
        data = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        token = self.path.rpartition("/")[2]
        function = startRecording if data["type"] == "start" else stopRecording
        try:
            function(self.headers["Talk-Recording-Backend"], token, data)
        except LookupError:
            self._answer(404, b"")
        else:
            self._answer(200, b"{}")

    def _answer(self, status, body):
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        """Says nothing."""


def run():
    """Serves until it is killed, and says where."""
    host, port = config.getListen().split(":")
    server = ThreadingHTTPServer((host, int(port)), Handler)
    print(f"http://{host}:{server.server_port}", flush=True)
    server.serve_forever()
