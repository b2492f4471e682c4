"""An ASGI application that is made when the server starts up, and stopped in order at its end."""

from __future__ import annotations

import asyncio
import logging
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager, contextmanager
from types import FrameType

from starlette.types import ASGIApp, Receive, Scope, Send

from ..fsm.runtime.log import logger


class LifespanApp:
    """`serving` makes the application; what it raises of `refusals` is told in one line."""

    def __init__(
        self,
        serving: Callable[[], AbstractAsyncContextManager[ASGIApp]],
        refusals: tuple[type[Exception], ...],
    ) -> None:
        self._serving, self._refusals = serving, refusals
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
                await receive()
        except self._refusals as error:
            print(f"saga: {' '.join(str(error).split())}", file=sys.stderr)
            # The server has nothing to add: whoever starts it reads one line.
            logging.getLogger("uvicorn.error").disabled = True
            await send({"type": f"lifespan.{phase}.failed"})
        except Exception:
            logger.exception("the service failed")
            await send({"type": f"lifespan.{phase}.failed"})
        else:
            await send({"type": "lifespan.shutdown.complete"})


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
