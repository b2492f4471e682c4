"""How the application is served: by uvicorn, with limits on connections and an orderly end."""

from __future__ import annotations

import asyncio
import faulthandler
import logging
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager, contextmanager
from datetime import timedelta
from types import FrameType
from typing import Final

import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send

from ..fsm.runtime.logging import logger
from .limited_connection import LimitedConnection
from .open_connections import connection_limit

# An idle connection must be let go by its client, not by us: what is sent while we hang up is lost.
# Pools of clients keep one for 5 to 60 seconds; uvicorn's own 5 are just those of httpx.
KEEP_ALIVE_SECONDS: Final = 75
# Connections that the system takes in advance: the event loop accepts all of them at once, before
# any limit is looked at, so they must be fewer than the descriptors that are left.
MAX_BACKLOG: Final = 2048


def build_server(app: ASGIApp) -> uvicorn.Server:
    config = uvicorn.Config(
        app,
        http=LimitedConnection,
        backlog=min(MAX_BACKLOG, connection_limit() // 4),
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,  # nobody asks for the client's address
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=5,  # seconds; starts that wait are answered at the signal
    )
    return uvicorn.Server(config)


FAILURE_EXIT_CODE: Final = 1  # the exit code of a service of which a part has failed
SHUTDOWN_LIMIT: Final = timedelta(seconds=10)


class LifespanApp:
    """`serving` makes the application; what it raises of `refusals` is told in one line.

    When a part of it fails while it serves, the process ends with exit code 1, `ends_within` at the
    latest: nothing would be served, and whatever supervises the process starts it again. No server
    has a way to be told so by its application; that a callback of the event loop may raise
    SystemExit is a promise of asyncio, and holds for all of them.
    """

    def __init__(
        self,
        serving: Callable[[], AbstractAsyncContextManager[ASGIApp]],
        refusals: tuple[type[Exception], ...],
        ends_within: timedelta = SHUTDOWN_LIMIT,
    ) -> None:
        self._serving, self._refusals = serving, refusals
        self._ends_within = ends_within
        self._app: ASGIApp | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._run_lifespan(receive, send)
        else:
            assert self._app is not None, "the server runs the lifespan first"
            await self._app(scope, receive, send)

    async def _run_lifespan(self, receive: Receive, send: Send) -> None:
        """Startup and shutdown. Trouble is told here: the server would take an exception at startup
        for an application without a lifespan, and serve what is not there."""
        await receive()
        phase = "startup"
        try:
            async with self._serving() as self._app:
                await send({"type": "lifespan.startup.complete"})
                phase = "shutdown"
                await self._wait_for_shutdown(receive)
        except self._refusals as error:
            print(f"saga: {' '.join(str(error).split())}", file=sys.stderr)
            # The server has nothing to add: whoever starts it reads one line.
            logging.getLogger("uvicorn.error").disabled = True
            await self._fail(phase, send)
        except asyncio.CancelledError:
            faulthandler.cancel_dump_traceback_later()  # the server wants an end, no more
            raise
        except Exception:
            logger.exception("the service failed")
            await self._fail(phase, send)
        else:
            await send({"type": "lifespan.shutdown.complete"})

    async def _wait_for_shutdown(self, receive: Receive) -> None:
        try:
            await receive()
        except asyncio.CancelledError:
            # A part has failed, and the others are stopped in order. One that is stuck, be it in a
            # thread, is shown and left: this ends the process with the exit code 1 as well.
            faulthandler.dump_traceback_later(self._ends_within.total_seconds(), exit=True)
            raise

    async def _fail(self, phase: str, send: Send) -> None:
        await send({"type": f"lifespan.{phase}.failed"})
        if phase == "shutdown":
            asyncio.get_running_loop().call_soon(sys.exit, FAILURE_EXIT_CODE)


@contextmanager
def on_termination_signal(stop: Callable[[], None]) -> Iterator[None]:
    """At the signal itself: the server tells us only once every request is answered."""
    loop = asyncio.get_running_loop()
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}

    def told(number: int, frame: FrameType | None) -> None:
        loop.call_soon_threadsafe(stop)
        if callable(handler := before[signal.Signals(number)]):
            handler(number, frame)

    for number in before:
        signal.signal(number, told)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
