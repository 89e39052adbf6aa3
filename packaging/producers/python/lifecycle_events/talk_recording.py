"""Starts the installed Nextcloud Talk recording server, unmodified, with its lifecycle reported.

    python3 -m lifecycle_events.talk_recording --config /etc/nextcloud-talk-recording/server.conf

The server changes its five metrics in two functions, one that starts a recording and one that stops it. Both, the metrics and the list
of running recordings are replaced by stand-ins that do what the originals do and then report the event that has the same effect:

=====================================================  ======================================================
where the server                                       the event
=====================================================  ======================================================
has read its configuration                             ``server_started``, ``backend_configured`` for each
counts a recording                                     ``started``
counts a failed one                                    ``failed``, for the recording that it takes off its list
adds a duration, and no upload failure came before     ``stopped`` with that duration, and ``uploaded``
adds a duration after an upload failure                ``stopped`` with that duration, and ``upload_failed``
=====================================================  ======================================================

``server_started`` abandons what a former run of the server had open: after a crash, its recordings are failed ones. Counters go on.

A server that has changed beyond this starts all the same; a line in the log says that nothing is reported. Without a server this program
says what is missing, and ends with 1.
``$LIFECYCLE_EVENTS_SOCKET`` is the exporter's socket, ``$LIFECYCLE_EVENTS_PRODUCER`` the producer's name (``talk-recording``).
"""

import configparser
import functools
import importlib
import itertools
import logging
import os
import runpy
import sys
import threading
import weakref
from typing import Any, Callable, Dict, FrozenSet, List, Optional, Tuple

from .client import Client

logger = logging.getLogger("lifecycle_events")

#: The installed server.
PACKAGE = "nextcloud.talk.recording"


class _Recording:
    """What is known of one of the server's recordings."""

    def __init__(self, backend: str, name: str) -> None:
        self.labels: Dict[str, Any] = {"backend": backend, "recording": name}
        self.counted = False
        self.taken_off = False
        self.upload_failed = False
        # A stop may overtake the start: the events of that wait for the first one.
        self.held: List[Tuple[Callable[..., None], Dict[str, Any]]] = []


class _Doing(threading.local):
    """What this thread of the server is doing."""

    #: The recording that it starts or stops.
    recording: Optional[_Recording] = None
    #: The recording that it has taken off the server's list.
    taken: Optional[_Recording] = None


class Reporter:
    """Stands between the server's functions and the client."""

    def __init__(self, server: Any, client: Client) -> None:
        self._events = client.recording
        self._backends: FrozenSet[str] = frozenset()
        self._lock = threading.Lock()
        self._numbers = itertools.count(1)
        self._recordings: "weakref.WeakKeyDictionary[Any, _Recording]" = weakref.WeakKeyDictionary()
        self._doing = _Doing()
        # All is looked up before anything is replaced: what lacks here is no half of a server.
        self._secret_of = server.config.getBackendSecret
        replaced = {
            "_startRecordingService": self._around(server._startRecordingService, lambda _: None),
            "_stopRecordingService": self._around(server._stopRecordingService, self._left_stop),
            "metricsRecordingsTotal": _Metric(server.metricsRecordingsTotal, inc=self._counted),
            "metricsRecordingsFailedTotal": _Metric(server.metricsRecordingsFailedTotal, inc=self._failed),
            "metricsRecordingsUploadsFailedTotal": _Metric(server.metricsRecordingsUploadsFailedTotal, inc=self._upload_failed),
            "metricsRecordingsCurrent": _Metric(server.metricsRecordingsCurrent, dec=self._taken_off),
            "metricsRecordingsDurationSeconds": _Metric(server.metricsRecordingsDurationSeconds, inc=self._stopped),
            "services": _Services(server.services, self._took),
        }
        self._is_started = False
        server.config.load = self._after_load(server.config.load)
        for name, stand_in in replaced.items():
            setattr(server, name, stand_in)

    def _of(self, service: Any) -> _Recording:
        with self._lock:
            recording = self._recordings.get(service)
            if recording is None:
                # A room may be recorded again while its former recording is still being uploaded.
                recording = _Recording(self._announced(service.backend), f"{service.token}#{next(self._numbers)}")
                self._recordings[service] = recording
            return recording

    def _around(self, function: Callable[..., Any], left: Callable[[_Recording], None]) -> Callable[..., Any]:
        @functools.wraps(function)
        def wrapped(service: Any, *arguments: Any, **named: Any) -> Any:
            recording = self._of(service)
            self._doing.recording, self._doing.taken = recording, None
            try:
                return function(service, *arguments, **named)
            finally:
                self._doing.recording = self._doing.taken = None
                left(recording)

        return wrapped

    def _after_load(self, load: Callable[[str], Any]) -> Callable[[str], Any]:
        @functools.wraps(load)
        def wrapped(path: str) -> Any:
            result = load(path)
            self._loaded(path)
            return result

        return wrapped

    def _loaded(self, path: str) -> None:
        if not self._is_started:
            self._is_started = True
            self._events.server_started()
        backends = configured_backends(path, self._secret_of)
        for backend in backends:
            self._events.backend_configured(backend=backend)
        self._backends = frozenset(backends)

    def _announced(self, backend: str) -> str:
        # The server takes a request of a backend however many slashes it ends with; its series is one all the same.
        name = _named(backend)
        return name if name in self._backends else backend

    def _report(self, recording: _Recording, event: Callable[..., None], **fields: Any) -> None:
        with self._lock:
            if recording.counted:
                event(**recording.labels, **fields)
            else:
                recording.held.append((event, fields))

    # What the stand-ins call, each right after the server's own change.

    def _took(self, service: Any) -> None:
        self._doing.taken = self._of(service)

    def _counted(self, _: float) -> None:
        recording = self._doing.recording
        if recording is not None:
            with self._lock:
                recording.counted = True
                self._events.started(**recording.labels)
                for event, fields in recording.held:
                    event(**recording.labels, **fields)
                recording.held.clear()

    def _failed(self, _: float) -> None:
        # The failure of one recording takes the next one of that room off the list, if that has begun meanwhile.
        recording = self._doing.taken or self._doing.recording
        if recording is not None:
            self._report(recording, self._events.failed)

    def _upload_failed(self, _: float) -> None:
        if self._doing.recording is not None:
            self._doing.recording.upload_failed = True

    def _taken_off(self, _: float) -> None:
        if self._doing.recording is not None:
            self._doing.recording.taken_off = True

    def _stopped(self, duration: float) -> None:
        recording = self._doing.recording
        if recording is not None:
            recording.taken_off = False
            self._report(recording, self._events.stopped, duration=duration)
            self._report(recording, self._events.upload_failed if recording.upload_failed else self._events.uploaded)

    def _left_stop(self, recording: _Recording) -> None:
        # The server could not tell how long it was; it is no current one any more all the same.
        if recording.taken_off:
            self._doing.recording = recording
            self._stopped(0)
            self._doing.recording = None


class _Metric:
    """A metric of the server that tells its changes."""

    def __init__(self, metric: Any, **told: Callable[[float], None]) -> None:
        self._metric = metric
        self._told = told

    def __getattr__(self, name: str) -> Any:
        return getattr(self._metric, name)

    def labels(self, *values: Any, **named: Any) -> "_Metric":
        """The child for these labels, which tells its changes, too."""
        return _Metric(self._metric.labels(*values, **named), **self._told)

    def inc(self, amount: float = 1, *rest: Any, **named: Any) -> None:
        """Counts up."""
        self._change("inc", amount, *rest, **named)

    def dec(self, amount: float = 1, *rest: Any, **named: Any) -> None:
        """Counts down."""
        self._change("dec", amount, *rest, **named)

    def _change(self, verb: str, amount: float, *rest: Any, **named: Any) -> None:
        getattr(self._metric, verb)(amount, *rest, **named)
        if verb in self._told:
            try:
                self._told[verb](amount)
            except Exception:
                logger.exception("a change of a metric could not be reported")


class _Services(Dict[str, Any]):
    """The server's list of running recordings, which tells who is taken off."""

    def __init__(self, services: Dict[str, Any], took: Callable[[Any], None]) -> None:
        super().__init__(services)
        self._took = took

    def pop(self, *arguments: Any) -> Any:
        """Takes one off."""
        service = super().pop(*arguments)
        if service is not None:
            self._took(service)
        return service


def configured_backends(path: str, secret_of: Callable[[str], Any]) -> List[str]:
    """The backends of a ``server.conf`` whose requests the server takes, each once, as they name themselves.

    :param secret_of: the server's own look-up, by which it takes or refuses a request.
    """
    file = configparser.ConfigParser()
    try:
        file.read(path)
        names = [name.strip() for name in file.get("backend", "backends", fallback="").split(",")]
        backends = [_named(file.get(name, "url")) for name in names if file.has_option(name, "url")]
    except configparser.Error as error:
        logger.warning("the backends of %s cannot be told: %s", path, error)
        return []
    return [backend for backend in dict.fromkeys(backends) if _is_taken(backend, secret_of)]


def _named(backend: str) -> str:
    """A backend as its requests name it: a Nextcloud server names itself with one slash at the end."""
    return backend.rstrip("/") + "/"


def _is_taken(backend: str, secret_of: Callable[[str], Any]) -> bool:
    try:
        return bool(secret_of(backend))
    except configparser.Error:
        # The server has the same trouble at each request.
        return False


def report(client: Client) -> bool:
    """Has the installed server report to this client. False: it is not one of those that are known."""
    try:
        Reporter(importlib.import_module(f"{PACKAGE}.Server"), client)
    except AttributeError as error:
        logger.error("this recording server is not known, so its lifecycle is not reported: %s", error)
        return False
    return True


def _lack(error: ImportError) -> str:
    """What keeps the server from being imported, and what to do."""
    if f"{PACKAGE}.Server.".startswith(f"{error.name}."):
        return (
            f"the Nextcloud Talk recording server is not installed for {sys.executable}: install nextcloud-talk-recording for it, "
            "or start this module with the Python that has it"
        )
    return f"the Nextcloud Talk recording server cannot be imported: {error}: install what it needs for {sys.executable}"


def main() -> None:
    """Runs the server with the arguments of this program."""
    client = Client(producer=os.environ.get("LIFECYCLE_EVENTS_PRODUCER") or "talk-recording")
    try:
        report(client)
    except ImportError as error:
        sys.exit(f"lifecycle_events.talk_recording: {_lack(error)}")
    sys.argv[0] = PACKAGE
    runpy.run_module(PACKAGE, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
