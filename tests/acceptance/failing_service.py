"""A service of which a part fails at the first request: `app`, or a program that serves it.

python -m saga_orchestrator.tests.acceptance.failing_service PORT

With STUCK in the environment its other parts never end by themselves: a task, a thread, or all of
them, since the event loop turns no more.
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

from saga_orchestrator.http.uvicorn_server import LifespanApp, build_server
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send


@asynccontextmanager
async def serving() -> AsyncIterator[ASGIApp]:
    asked = asyncio.Event()

    async def fail() -> None:
        await asked.wait()
        raise RuntimeError("a part has failed")

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        await PlainTextResponse("ok")(scope, receive, send)
        asked.set()

    async with asyncio.TaskGroup() as parts:
        parts.create_task(fail())
        try:
            yield answer
        finally:
            await get_stuck(os.environ.get("STUCK"))


async def get_stuck(what: str | None) -> None:
    match what:
        case "task":
            await asyncio.Event().wait()
        case "thread":
            asyncio.get_running_loop().run_in_executor(None, threading.Event().wait)
        case "loop":
            threading.Event().wait()


app = LifespanApp(serving, (), ends_within=timedelta(seconds=1))

if __name__ == "__main__":
    door = socket.create_server(("127.0.0.1", int(sys.argv[1])))
    build_server(app).run(sockets=[door])
