"""An ASGI application behind the middleware, for a real server: `uvicorn --workers 4 app:app`, in this folder.

=================  ===========================================================
path               answer
=================  ===========================================================
``/slow/0.5``      200, after as many seconds
``/fails``         none: the application raises
``/nothing``       404
``/pid``           200, with the process number of the worker
any other          200, at once; of any length, if the server is told to take it
                   (`--h11-max-incomplete-event-size 100000`)
=================  ===========================================================

Each answer comes when the request's body has been read. `$LIFECYCLE_EVENTS_SOCKET` is the exporter's socket.
"""

import asyncio
import os

from lifecycle_events.asgi import LifecycleMiddleware


async def answer(scope, receive, send):
    """Answers a request."""
    while (await receive()).get("more_body"):
        pass
    path = scope["path"]
    if path == "/fails":
        raise RuntimeError("asked to")
    if path.startswith("/slow/"):
        await asyncio.sleep(float(path[len("/slow/") :]))
    body = str(os.getpid()).encode() if path == "/pid" else b"ok"
    headers = [(b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 404 if path == "/nothing" else 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def live(receive, send):
    """Follows the lifespan of the server."""
    while True:
        message = await receive()
        await send({"type": message["type"] + ".complete"})
        if message["type"] == "lifespan.shutdown":
            return


async def application(scope, receive, send):
    """Has a lifespan."""
    if scope["type"] == "lifespan":
        await live(receive, send)
    else:
        await answer(scope, receive, send)


async def application_without_lifespan(scope, receive, send):
    """Knows nothing but requests."""
    if scope["type"] != "http":
        raise NotImplementedError(scope["type"])
    await answer(scope, receive, send)


def create():
    """For `--factory`."""
    return LifecycleMiddleware(application, api="admin")


def create_without_lifespan():
    """For `--factory`."""
    return LifecycleMiddleware(application_without_lifespan, api="admin")


app = create()
