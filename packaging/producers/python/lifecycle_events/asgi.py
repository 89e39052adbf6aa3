"""An ASGI middleware that reports each HTTP request of an application as ``vlog.http.request_started`` and ``…request_finished``.

    from lifecycle_events.asgi import LifecycleMiddleware

    app = LifecycleMiddleware(app, api="public")

The path is the one that the application sees, ``scope["path"]``; the exporter turns ``/api/videos/42`` into ``/api/videos/{id}``.
WebSockets and the lifespan pass through untouched, but for its end, which closes the client: servers may end their workers without
another word.
"""

import asyncio
import itertools
import os
import secrets
import time
from asyncio import CancelledError
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
    """

    def __init__(self, app: App, client: Optional[Client] = None, *, api: str = "public") -> None:
        self._app = app
        self._owns_client = client is None
        self._client = client or Client()
        self._api = api
        self._run = secrets.token_hex(4)
        self._numbers = itertools.count(1)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handles one request, or whatever else the server asks for."""
        if scope["type"] == "http":
            await self._follow(scope, receive, send)
        elif scope["type"] == "lifespan" and self._owns_client:
            # A server in a test may begin and end several times.
            self._client = Client() if self._client.is_closed() else self._client
            await self._app(scope, receive, self._closing(send))
        else:
            await self._app(scope, receive, send)

    async def _follow(self, scope: Scope, receive: Receive, send: Send) -> None:
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

    def _closing(self, send: Send) -> Send:
        async def watched(message: Message) -> None:
            await send(message)
            if message["type"] in ("lifespan.shutdown.complete", "lifespan.shutdown.failed"):
                await asyncio.get_running_loop().run_in_executor(None, self._client.close, EXIT_SECONDS)

        return watched


def _status_of(message: Message) -> int:
    status = message.get("status")
    return status if isinstance(status, int) and 0 <= status <= STATUS_MAX else FAILED_STATUS
