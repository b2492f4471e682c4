"""An ASGI application that is made when the server starts up, and stopped in order at its end."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

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
