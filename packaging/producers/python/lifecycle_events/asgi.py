"""An ASGI middleware that reports each HTTP request of an application as ``vlog.http.request_started`` and ``…request_finished``.

    from lifecycle_events.asgi import LifecycleMiddleware

    app = LifecycleMiddleware(app, api="public")

The path is the one that the application sees, ``scope["path"]``; the exporter turns ``/api/videos/42`` into ``/api/videos/{id}``.
WebSockets and the lifespan pass through untouched.

uvicorn ends a worker by SIGTERM without running what `atexit` holds, so the middleware closes its client before that: in the lifespan's
shutdown, before the server hears of its end, or, where the server or the application has no lifespan, in a handler of SIGTERM, as soon as
no request is in progress. A client that the application passes is the application's to close, in its own shutdown.
"""

import asyncio
import itertools
import os
import secrets
import signal
import threading
import time
from asyncio import CancelledError
from types import FrameType
from typing import Any, Awaitable, Callable, MutableMapping, Optional

from .client import EXIT_SECONDS, Client

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

#: What is reported where the application failed before it had answered.
FAILED_STATUS = 500
#: What is reported where the client left before it was answered.
LEFT_STATUS = 499
#: A greater number is no status.
STATUS_MAX = 999


class LifecycleMiddleware:
    """Reports requests.

    :param app: the application.
    :param client: brings the events to the exporter; by default one of its own in each worker process, all under one name.
    :param api: which of the platform's interfaces this is, the label ``api``.
    :param producer: the name of its own client; by default the program's, which is that of the server, such as ``uvicorn``. A name belongs
        to one user of the machine, so give one where several users run the same server.
    """

    def __init__(self, app: App, client: Optional[Client] = None, *, api: str = "public", producer: Optional[str] = None) -> None:
        self._app = app
        self._owns_client = client is None
        self._producer = producer
        self._client = client or Client(producer=producer)
        self._api = api
        self._run = secrets.token_hex(4)
        self._numbers = itertools.count(1)
        #: Requests in progress.
        self._open = 0
        #: Whether the lifespan or a signal will tell when the client has to be closed, or need not.
        self._hears_the_end = not self._owns_client
        self._is_terminated = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handles one request, or whatever else the server asks for."""
        if scope["type"] == "http":
            await self._follow(scope, receive, send)
        elif scope["type"] == "lifespan" and self._owns_client:
            await self._live(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    async def _live(self, scope: Scope, receive: Receive, send: Send) -> None:
        # A server in a test may begin and end several times.
        if self._client.is_closed():
            self._renew_client()
        is_ending = False

        async def heard() -> Message:
            nonlocal is_ending
            message = await receive()
            is_ending = message["type"] == "lifespan.shutdown"
            return message

        async def watched(message: Message) -> None:
            if message["type"] == "lifespan.startup.complete":
                self._hears_the_end = True
            elif message["type"] in ("lifespan.shutdown.complete", "lifespan.shutdown.failed"):
                await self._close()
            await send(message)

        try:
            await self._app(scope, heard, watched)
        finally:
            # An application that knows no lifespan says so by an error, and serves its requests all the same.
            self._hears_the_end = is_ending
            if is_ending:
                await self._close()

    async def _follow(self, scope: Scope, receive: Receive, send: Send) -> None:
        if not self._hears_the_end:
            self._listen_for_sigterm()
        self._open += 1
        # After that: a signal between the two would close this client.
        emit = self._client.emit
        request = f"{self._run}-{os.getpid()}-{next(self._numbers)}"
        # The application may change the scope, and its method, path and status have to leave the request one that can be ended.
        method, path = scope.get("method") or "", scope.get("path") or ""
        status = FAILED_STATUS
        began = time.perf_counter()
        emit("vlog.http.request_started", request=request, api=self._api)

        async def watched(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = _status_of(message)
            await send(message)

        try:
            await self._app(scope, receive, watched)
        except CancelledError:
            status = LEFT_STATUS if status == FAILED_STATUS else status
            raise
        finally:
            emit(
                "vlog.http.request_finished",
                request=request,
                method=method,
                endpoint=path,
                status_code=status,
                duration=time.perf_counter() - began,
            )
            self._open -= 1
            if self._is_terminated and self._open == 0:
                self._part()

    async def _close(self) -> None:
        await asyncio.get_running_loop().run_in_executor(None, self._client.close, EXIT_SECONDS)

    def _renew_client(self) -> Client:
        """Puts a new client in place, and returns the former one."""
        former, self._client = self._client, Client(producer=self._producer)
        return former

    def _listen_for_sigterm(self) -> None:
        self._hears_the_end = True
        former = signal.getsignal(signal.SIGTERM)
        # Only the main thread may have handlers, and one that is not Python's cannot be called.
        if threading.current_thread() is not threading.main_thread() or former is None:
            return

        def handle(number: int, frame: Optional[FrameType]) -> None:
            self._is_terminated = True
            if self._open == 0 or former is signal.SIG_DFL:
                self._part()
            if callable(former):
                former(number, frame)
            elif former is signal.SIG_DFL:
                signal.signal(signal.SIGTERM, former)
                signal.raise_signal(number)

        signal.signal(signal.SIGTERM, handle)

    def _part(self) -> None:
        # The server may accept another request before it stops: that one has a client, too.
        self._renew_client().close(EXIT_SECONDS)


def _status_of(message: Message) -> int:
    status = message.get("status")
    return status if isinstance(status, int) and 0 <= status <= STATUS_MAX else FAILED_STATUS
