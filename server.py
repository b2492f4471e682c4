"""The server: the ASGI application and the process that serves it.

uvicorn server:app          `app` below
python server.py            the same, on SAGA_HOST and SERVICE_PORT
saga serve                  the same
"""

from __future__ import annotations

import gc
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from importlib import metadata

import psycopg
from saga_orchestrator.eventstore import EventStoreError
from saga_orchestrator.fsm.runtime.logging import configure_logging
from saga_orchestrator.http.app import build_app
from saga_orchestrator.http.open_connections import raise_descriptor_limit
from saga_orchestrator.http.state import AppState
from saga_orchestrator.http.uvicorn_server import (
    build_server,
    ending_on_failure,
    on_termination_signal,
)
from saga_orchestrator.settings import InvalidSettings, Settings, read_settings
from saga_orchestrator.wiring import open_service
from starlette.applications import Starlette

VERSION = metadata.version("saga-orchestrator")
FAILURES = (InvalidSettings, EventStoreError, psycopg.Error)  # reported in one line
GC_THRESHOLD_OBJECTS = 20_000  # some 200 sagas; Python's own 700 are seven


@asynccontextmanager
async def _lifespan(_: Starlette) -> AsyncIterator[AppState]:
    async with ending_on_failure(_serving(), FAILURES) as state:
        yield state


@asynccontextmanager
async def _serving() -> AsyncIterator[AppState]:
    settings = read_settings()
    configure_logging(settings.saga_log_level)
    async with open_service(settings) as state:
        with on_termination_signal(state["orchestrator"].begin_stop):
            tune_garbage_collector()
            yield state


def tune_garbage_collector() -> None:
    """Exempt what a started service holds from collection: scanning it took a tenth of its time."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(GC_THRESHOLD_OBJECTS, 10, 20)


def main() -> None:
    """Serve until stopped. A wrong setting ends the process with one line on standard error."""
    try:
        settings = read_settings()
        listener = bind_listener(settings)
    except InvalidSettings as error:
        sys.exit(f"saga: {error}")
    raise_descriptor_limit()
    with suppress(KeyboardInterrupt):
        build_server(app).run(sockets=[listener])


def bind_listener(settings: Settings) -> socket.socket:
    """Return a socket bound to the address of the service. Raises InvalidSettings.

    It is bound before anything else: a second service that cannot have the address must not take
    shards from the first one. No client can connect before the server listens.
    """
    host, port = settings.saga_host, settings.service_port
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise InvalidSettings(
            f"cannot listen on {host} port {port}: {error.strerror}; "
            "change SERVICE_PORT or SAGA_HOST, or stop what listens there"
        ) from error
    return listener


app = build_app(_lifespan, version=VERSION)

if __name__ == "__main__":
    main()
