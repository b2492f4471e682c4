"""The server of the application: uvicorn, with limits on connections and an orderly end."""

from __future__ import annotations

import asyncio
import faulthandler
import logging
import signal
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from datetime import timedelta
from types import FrameType
from typing import Final, TypeVar

import uvicorn
from starlette.types import ASGIApp

from ..fsm.runtime.logging import logger
from .limited_connection import LimitedConnection
from .open_connections import connection_limit

# Clients must close idle connections before the server does: a request that is on its way while the
# server closes is lost. Their pools keep connections for 5 to 60 seconds; uvicorn's default is 5.
KEEP_ALIVE_SECONDS: Final = 75
# The event loop accepts all waiting connections at once, before any limit is checked, so they must
# be fewer than the file descriptors that are left.
MAX_BACKLOG: Final = 2048
FAILURE_EXIT_CODE: Final = 1
SHUTDOWN_LIMIT: Final = timedelta(seconds=10)

State = TypeVar("State")


def build_server(app: ASGIApp) -> uvicorn.Server:
    config = uvicorn.Config(
        app,
        http=LimitedConnection,
        backlog=min(MAX_BACKLOG, connection_limit() // 4),
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,  # the client's address is not used
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=5,  # seconds; starts that wait get their responses at the signal
    )
    return uvicorn.Server(config)


@asynccontextmanager
async def ending_on_failure(
    service: AbstractAsyncContextManager[State],
    refusals: tuple[type[Exception], ...],
    limit: timedelta = SHUTDOWN_LIMIT,
) -> AsyncIterator[State]:
    """Run `service` for the lifespan of an application. One of `refusals` is reported in one line.

    If a part of the service fails while it serves, the process ends with exit code 1, within
    `limit`: nothing would be served, and a supervisor of the process starts it again. An
    application cannot stop its server; but asyncio promises, for every server, that a callback of
    the event loop may raise SystemExit.
    """
    is_serving = False
    try:
        async with service as state:
            is_serving = True
            try:
                yield state
            except asyncio.CancelledError:
                # A part has failed, and the others are stopped in order. If one is stuck, even in
                # a thread, its traceback is printed and the process ends all the same.
                faulthandler.dump_traceback_later(limit.total_seconds(), exit=True)
                raise
    except asyncio.CancelledError:
        faulthandler.cancel_dump_traceback_later()  # the server itself ends the lifespan
        raise
    except refusals as error:
        print(f"saga: {' '.join(str(error).split())}", file=sys.stderr)
        _end_process(is_serving)
        raise
    except Exception:
        logger.exception("the service failed")
        _end_process(is_serving)
        raise


def _end_process(is_serving: bool) -> None:
    logging.getLogger("uvicorn.error").disabled = True  # it would log the error a second time
    if is_serving:
        asyncio.get_running_loop().call_soon(sys.exit, FAILURE_EXIT_CODE)


@contextmanager
def on_termination_signal(stop: Callable[[], None]) -> Iterator[None]:
    """Call `stop` as soon as the signal arrives: uvicorn ends the lifespan only after all requests
    in flight have finished."""
    loop = asyncio.get_running_loop()
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}

    def handle(number: int, frame: FrameType | None) -> None:
        loop.call_soon_threadsafe(stop)
        if callable(handler := handlers[signal.Signals(number)]):
            handler(number, frame)

    for number in handlers:
        signal.signal(number, handle)
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
