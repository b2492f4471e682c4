"""An ASGI application that is made when the server starts up, and stopped in order at its end."""

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

from starlette.types import ASGIApp, Receive, Scope, Send

from ..fsm.runtime.log import logger

FAILED: Final = 1  # the exit code of a service of which a part has failed
ENDS_WITHIN: Final = timedelta(seconds=10)


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
        ends_within: timedelta = ENDS_WITHIN,
    ) -> None:
        self._serving, self._refusals = serving, refusals
        self._ends_within = ends_within
        self._app: ASGIApp | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._live(receive, send)
        else:
            assert self._app is not None, "the server runs the lifespan first"
            await self._app(scope, receive, send)

    async def _live(self, receive: Receive, send: Send) -> None:
        """Startup and shutdown. Trouble is told here: the server would take an exception at startup
        for an application without a lifespan, and serve what is not there."""
        await receive()
        phase = "startup"
        try:
            async with self._serving() as self._app:
                await send({"type": "lifespan.startup.complete"})
                phase = "shutdown"
                await self._asked_to_stop(receive)
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

    async def _asked_to_stop(self, receive: Receive) -> None:
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
            asyncio.get_running_loop().call_soon(sys.exit, FAILED)


@contextmanager
def told_at_signal(stop: Callable[[], None]) -> Iterator[None]:
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
