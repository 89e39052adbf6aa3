"""What three middlewares add to a request of an ASGI application: the client's, and two that count in the process with
prometheus_client, as an ASGI application of its own and as Starlette's BaseHTTPMiddleware. Prints seconds a request."""

import asyncio
import json
import sys
import time

from lifecycle_events import Client
from lifecycle_events.asgi import LifecycleMiddleware
from prometheus_client import Counter, Gauge, Histogram
from starlette.middleware.base import BaseHTTPMiddleware

REQUESTS = int(sys.argv[1])
SCOPE = {"type": "http", "method": "GET", "path": "/api/videos/1", "raw_path": b"/api/videos/1", "headers": []}

in_progress = Gauge("requests_in_progress", "Requests in progress", ["api"])
finished = Counter("requests_total", "Requests", ["method", "endpoint", "status"])
seconds = Histogram("request_duration_seconds", "Seconds", ["method", "endpoint"])


def note(method, path, status, began):
    in_progress.labels("public").dec()
    finished.labels(method, path, status).inc()
    seconds.labels(method, path).observe(time.perf_counter() - began)


class Pure:
    def __init__(self, app):
        self.app = app

    async def __call__(self, scope, receive, send):
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        status = 500
        began = time.perf_counter()
        in_progress.labels("public").inc()

        async def watched(message):
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self.app(scope, receive, watched)
        finally:
            note(scope["method"], scope["path"], status, began)


class Base(BaseHTTPMiddleware):
    async def dispatch(self, request, call_next):
        status = 500
        began = time.perf_counter()
        in_progress.labels("public").inc()
        try:
            response = await call_next(request)
            status = response.status_code
            return response
        finally:
            note(request.method, request.url.path, status, began)


async def app(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"{}"})


async def receive():
    return {"type": "http.request", "body": b"", "more_body": False}


async def send(_):
    pass


async def serve(handler):
    began = time.perf_counter()
    for _ in range(REQUESTS):
        await handler(SCOPE, receive, send)
    return (time.perf_counter() - began) / REQUESTS


client = Client(producer="middleware.py", buffer=3 * REQUESTS)
bare = asyncio.run(serve(app))
added = {
    "ours": asyncio.run(serve(LifecycleMiddleware(app, client))) - bare,
    "pure": asyncio.run(serve(Pure(app))) - bare,
    "base": asyncio.run(serve(Base(app))) - bare,
}
client.close(None)
print(json.dumps(added))
