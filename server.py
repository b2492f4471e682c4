"""The composition root: the only place that wires the rooms together.

uvicorn server:app          `app` below
python server.py            the same, on SAGA_HOST and SERVICE_PORT
saga serve                  the same
"""

from __future__ import annotations

import asyncio
import gc
import logging
import signal
import socket
import sys
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from importlib import metadata
from pathlib import Path
from types import FrameType

import psycopg
import uvicorn
from saga_orchestrator import examples, projections
from saga_orchestrator.eventstore import (
    MIGRATIONS,
    SHARDS,
    EmbeddedServerFailed,
    EventStoreError,
    LogUnavailable,
    PostgresLog,
    Readers,
    embedded_server,
    migrate,
)
from saga_orchestrator.fsm.definition import Definition
from saga_orchestrator.fsm.errors import InvalidDefinition
from saga_orchestrator.fsm.reader import read_definition
from saga_orchestrator.fsm.runtime.callbacks import Callbacks
from saga_orchestrator.fsm.runtime.clock import SystemClock
from saga_orchestrator.fsm.runtime.driver import Driver
from saga_orchestrator.fsm.runtime.errors import DefinitionExists
from saga_orchestrator.fsm.runtime.executor import Executor
from saga_orchestrator.fsm.runtime.journal import Journal
from saga_orchestrator.fsm.runtime.log import configure_logging
from saga_orchestrator.fsm.runtime.orchestrator import Orchestrator
from saga_orchestrator.fsm.runtime.recovery import Recovery
from saga_orchestrator.fsm.runtime.registry import Registry
from saga_orchestrator.fsm.yaml_document import InvalidYaml, parse_yaml
from saga_orchestrator.http.app import build_app
from saga_orchestrator.http.health import Check
from saga_orchestrator.http.participants.callback import CallbackPolicy, HttpCallbackSender
from saga_orchestrator.http.participants.client import ParticipantsClient
from saga_orchestrator.http.participants.limits import TransportLimits
from saga_orchestrator.http.participants.transport import ParticipantTransport
from saga_orchestrator.projections.audit import verify_log
from saga_orchestrator.projections.projector import Projector
from saga_orchestrator.projections.statements import statement
from saga_orchestrator.projections.status_listing import StatusListing
from saga_orchestrator.projections.tables import Tables
from saga_orchestrator.settings import InvalidSettings, Settings, read_settings
from starlette.types import ASGIApp, Receive, Scope, Send

DEFINITIONS = Path(examples.__file__).parent / "definitions"
VERSION = metadata.version("saga-orchestrator")
READ_TIME = timedelta(seconds=10)  # a list that takes longer is given up
STALLED = timedelta(seconds=2)  # an append that waits longer is trouble
OBJECTS_A_COLLECTION = 20_000  # some 200 sagas; Python's own 700 are seven
ROOMS = [("eventstore", MIGRATIONS), ("projections", projections.MIGRATIONS)]


@dataclass(frozen=True, slots=True)
class Running:
    orchestrator: Orchestrator
    listing: StatusListing
    health: ServiceHealth


@asynccontextmanager
async def running(settings: Settings) -> AsyncIterator[Running]:
    """Everything wired, recovered and driving its sagas; stopped in order at the end."""
    async with AsyncExitStack() as stack:
        database_url = await _database(settings, stack)
        await _migrate(database_url)
        clock, log = SystemClock(), PostgresLog(database_url)
        stack.push_async_callback(log.close)
        registry = Registry(log, clock)
        await _register_definitions(registry, settings)
        tables = Tables(database_url)
        stack.push_async_callback(tables.close)
        readers = Readers(database_url, READ_TIME, statement)
        stack.push_async_callback(readers.close)
        journal = Journal(log, registry)
        projector = Projector(tables, log, journal.load_many)
        transport = ParticipantTransport(
            TransportLimits(connections_per_origin=settings.saga_calls_per_participant)
        )
        stack.push_async_callback(transport.aclose)
        participants = ParticipantsClient(settings.saga_participants, transport)
        executor = Executor(participants, clock, limit=settings.saga_calls_per_participant)
        callbacks = Callbacks(HttpCallbackSender(transport), clock)
        driver = Driver(journal, executor, callbacks, clock, projector.observe)
        orchestrator = Orchestrator(log, registry, journal, driver, clock)
        recovery = Recovery(log, journal, driver, clock, partial(_unfinished, projector, tables))
        await recovery.run(range(SHARDS))
        async with asyncio.TaskGroup() as loops:
            tasks = [loops.create_task(one) for one in (projector.run(), driver.timers.run())]
            yield Running(orchestrator, StatusListing(readers), ServiceHealth(log))
            await driver.drain(settings.saga_drain_time)
            for task in tasks:
                task.cancel()
        await projector.step()


class ServiceHealth:
    """What the service depends on: one database, which must answer and take what is written."""

    def __init__(self, log: PostgresLog) -> None:
        self.log = log

    async def check(self) -> Mapping[str, Check]:
        try:
            await self.log.ping()
        except LogUnavailable as error:
            return {"database": Check(False, str(error))}
        stalled = self.log.stalled_for
        if stalled is not None and stalled > STALLED:
            return {"database": Check(False, f"no append for {stalled.total_seconds():.0f} s")}
        return {"database": Check(True)}


async def rebuild_projections(settings: Settings) -> int:
    """Fold the read models anew; returns the number of events."""
    async with AsyncExitStack() as stack:
        database_url = await _database(settings, stack)
        await _migrate(database_url)
        log, tables = PostgresLog(database_url), Tables(database_url)
        stack.push_async_callback(log.close)
        stack.push_async_callback(tables.close)
        registry = Registry(log, SystemClock())
        await registry.load()
        return await Projector(tables, log, Journal(log, registry).load_many).rebuild()


async def _unfinished(projector: Projector, tables: Tables) -> list[str]:
    await projector.catch_up()
    return await tables.unfinished(range(SHARDS))


async def _database(settings: Settings, stack: AsyncExitStack) -> str:
    """The URL of the database; without one an embedded server, stopped again at the end."""
    if settings.database_url is not None:
        return settings.database_url
    server = embedded_server(settings.saga_data_dir / "postgresql")
    try:
        started = await asyncio.to_thread(server.__enter__)
    except (OSError, EmbeddedServerFailed) as error:
        raise InvalidSettings(f"SAGA_DATA_DIR cannot be used: {_one_line(error)}") from error
    stack.push_async_callback(asyncio.to_thread, server.__exit__, None, None, None)
    return started.url


async def _migrate(database_url: str) -> None:
    try:
        await migrate(database_url, ROOMS)
    except psycopg.OperationalError as error:
        raise InvalidSettings(f"DATABASE_URL cannot be reached: {_one_line(error)}") from error


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())


async def _register_definitions(registry: Registry, settings: Settings) -> None:
    await registry.load()
    folders = [DEFINITIONS, *filter(None, [settings.saga_definitions_dir])]
    for file in (file for folder in folders for file in sorted(folder.glob("*.yaml"))):
        await _register(registry, file)


async def _register(registry: Registry, file: Path) -> None:
    try:
        await registry.register(_definition(file))
    except (OSError, UnicodeDecodeError, InvalidYaml, InvalidDefinition, DefinitionExists) as error:
        raise InvalidSettings(
            f"SAGA_DEFINITIONS_DIR: {file} is refused: {_one_line(error)}"
        ) from error


def _definition(file: Path) -> Definition:
    return read_definition(parse_yaml(file.read_text()))


class Service:
    """The ASGI application: made of the settings when it starts up, and stopped in order."""

    def __init__(self) -> None:
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
            async with self._serving():
                await send({"type": "lifespan.startup.complete"})
                phase = "shutdown"
                await receive()
        except (InvalidSettings, EventStoreError) as error:
            print(f"saga: {_one_line(error)}", file=sys.stderr)
            # The server has nothing to add: whoever starts it reads one line.
            logging.getLogger("uvicorn.error").disabled = True
            await send({"type": f"lifespan.{phase}.failed"})
        except Exception:
            logging.getLogger("saga_orchestrator").exception("the service failed")
            await send({"type": f"lifespan.{phase}.failed"})
        else:
            await send({"type": "lifespan.shutdown.complete"})

    @asynccontextmanager
    async def _serving(self) -> AsyncIterator[None]:
        settings = read_settings()
        configure_logging(settings.saga_log_level)
        async with running(settings) as service:
            with _told_to_stop(service.orchestrator.driver):
                self._app = build_app(
                    service.orchestrator,
                    service.listing,
                    service.health,
                    _callback_policy(settings),
                    partial(verify_log, service.orchestrator.log),
                    version=VERSION,
                )
                _spare_what_stays()
                yield


def _callback_policy(settings: Settings) -> CallbackPolicy:
    urls = settings.saga_participants.values()
    return CallbackPolicy(urls, loopback=settings.saga_callback_loopback)


def _spare_what_stays() -> None:
    """What a started service holds is no garbage: looking for some took a tenth of its time."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(OBJECTS_A_COLLECTION, 10, 20)


@contextmanager
def _told_to_stop(driver: Driver) -> Iterator[None]:
    """Stop at the signal itself: the server tells us only once every request is answered."""
    loop = asyncio.get_running_loop()
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}

    def stop(number: int, frame: FrameType | None) -> None:
        loop.call_soon_threadsafe(driver.begin_stop)
        if callable(handler := before[signal.Signals(number)]):
            handler(number, frame)

    for number in before:
        signal.signal(number, stop)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def main() -> None:
    """Serve until told to stop. A wrong setting ends it with one line on standard error."""
    try:
        settings = read_settings()
        door = _door(settings)
    except InvalidSettings as error:
        sys.exit(f"saga: {error}")
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,  # nobody asks for the client's address
        timeout_graceful_shutdown=5,  # seconds; starts that wait are answered at the signal
    )
    with suppress(KeyboardInterrupt):
        uvicorn.Server(config).run(sockets=[door])


def _door(settings: Settings) -> socket.socket:
    """The address, taken before anything else: a second service that cannot have it must not take
    the shards from the first one either. Nobody can connect before the server listens."""
    host, port = settings.saga_host, settings.service_port
    door = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    door.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        door.bind((host, port))
    except OSError as error:
        door.close()
        raise InvalidSettings(
            f"cannot listen on {host} port {port}: {error.strerror}; "
            "change SERVICE_PORT or SAGA_HOST, or stop what listens there"
        ) from error
    return door


app = Service()

if __name__ == "__main__":
    main()
