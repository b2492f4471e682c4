"""A service of which a part fails at the first request: `app`, or a program that serves `app`.

python -m saga_orchestrator.tests.acceptance.failing_service PORT

With STUCK in the environment another part never ends: a task, a thread, or the event loop itself.
"""

from __future__ import annotations

import asyncio
import os
import socket
import sys
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

from saga_orchestrator.http.uvicorn_server import build_server, ending_on_failure
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route


@asynccontextmanager
async def serving() -> AsyncIterator[dict[str, asyncio.Event]]:
    requested = asyncio.Event()

    async def fail() -> None:
        await requested.wait()
        raise RuntimeError("a part has failed")

    async with asyncio.TaskGroup() as parts:
        parts.create_task(fail())
        try:
            yield {"requested": requested}
        finally:
            await get_stuck(os.environ.get("STUCK"))


async def respond(request: Request) -> PlainTextResponse:
    request.state.requested.set()
    return PlainTextResponse("ok")


async def get_stuck(what: str | None) -> None:
    match what:
        case "task":
            await asyncio.Event().wait()
        case "thread":
            asyncio.get_running_loop().run_in_executor(None, threading.Event().wait)
        case "loop":
            threading.Event().wait()


app = Starlette(
    routes=[Route("/", respond)],
    lifespan=lambda _: ending_on_failure(serving(), (), timedelta(seconds=1)),
)

if __name__ == "__main__":
    listener = socket.create_server(("127.0.0.1", int(sys.argv[1])))
    build_server(app).run(sockets=[listener])
