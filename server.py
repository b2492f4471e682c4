"""The composition root: the only place that wires the rooms together.

uvicorn server:app          `app` below
python server.py            the same, on SAGA_HOST and SERVICE_PORT
saga serve                  the same
"""

from __future__ import annotations

import asyncio
import gc
import logging
import secrets
import signal
import socket
import sys
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from datetime import timedelta
from functools import partial
from importlib import metadata
from pathlib import Path
from types import FrameType

import uvicorn
from saga_orchestrator import examples, projections
from saga_orchestrator.eventstore import (
    MIGRATIONS,
    NOT_NOW,
    SHARDS,
    EmbeddedServerFailed,
    EventStoreError,
    LogUnavailable,
    PostgresLog,
    Readers,
    RecordedEvent,
    embedded_server,
    migrate,
)
from saga_orchestrator.fsm.definition import Definition
from saga_orchestrator.fsm.errors import InvalidDefinition
from saga_orchestrator.fsm.reader import read_definition
from saga_orchestrator.fsm.runtime.bulk import BulkJobs
from saga_orchestrator.fsm.runtime.callbacks import Callbacks
from saga_orchestrator.fsm.runtime.clock import SystemClock
from saga_orchestrator.fsm.runtime.driver import Driver
from saga_orchestrator.fsm.runtime.errors import DefinitionExists
from saga_orchestrator.fsm.runtime.event_counts import EventCounts
from saga_orchestrator.fsm.runtime.executor import Executor
from saga_orchestrator.fsm.runtime.journal import Journal
from saga_orchestrator.fsm.runtime.log import configure_logging, logger
from saga_orchestrator.fsm.runtime.orchestrator import SILENT, Orchestrator
from saga_orchestrator.fsm.runtime.recovery import Recovery, Unfinished
from saga_orchestrator.fsm.runtime.registry import Registry
from saga_orchestrator.fsm.runtime.tokens import SECRET_BYTES, CallbackTokens
from saga_orchestrator.fsm.saga import Saga
from saga_orchestrator.fsm.yaml_document import InvalidYaml, parse_yaml
from saga_orchestrator.http.app import build_app
from saga_orchestrator.http.health import Check, HealthQuestion
from saga_orchestrator.http.participants.callback import CallbackPolicy, HttpCallbackSender
from saga_orchestrator.http.participants.client import ParticipantsClient
from saga_orchestrator.http.participants.directory import Directory, read_directory
from saga_orchestrator.http.participants.limits import TransportLimits
from saga_orchestrator.http.participants.transport import ParticipantTransport
from saga_orchestrator.http.services import Services
from saga_orchestrator.projections.audit import verify_log
from saga_orchestrator.projections.feed import LogFeed
from saga_orchestrator.projections.projector import Projector
from saga_orchestrator.projections.statements import statement
from saga_orchestrator.projections.stats import StatusStatistics
from saga_orchestrator.projections.status_listing import StatusListing
from saga_orchestrator.projections.tables import Tables
from saga_orchestrator.settings import InvalidSettings, Settings, read_settings, secret_named
from starlette.types import ASGIApp, Receive, Scope, Send

BUILT_IN = Path(examples.__file__).parent / "definitions" / "order_processing.yaml"
VERSION = metadata.version("saga-orchestrator")
READ_TIME = timedelta(seconds=10)  # a list that takes longer is given up
OBJECTS_A_COLLECTION = 20_000  # some 200 sagas; Python's own 700 are seven
ROOMS = [("eventstore", MIGRATIONS), ("projections", projections.MIGRATIONS)]


@asynccontextmanager
async def running(settings: Settings) -> AsyncIterator[Services]:
    """Everything wired, recovered and driving its sagas; stopped in order at the end."""
    directory = _directory(settings)
    async with AsyncExitStack() as stack:
        database_url = await _database(settings, stack)
        await _migrate(database_url)
        clock, log = SystemClock(), PostgresLog(database_url)
        stack.push_async_callback(log.close)
        registry = Registry(log, clock, settings.saga_sleep_cap)
        await _register_definitions(registry, settings)
        tables = Tables(database_url)
        stack.push_async_callback(tables.close)
        readers = Readers(database_url, READ_TIME, statement)
        stack.push_async_callback(readers.close)
        journal = Journal(log, registry)
        projector = Projector(tables, log, journal.load_many)
        limit = settings.saga_calls_per_participant
        transport = ParticipantTransport(
            TransportLimits(connections_per_origin=_most_calls(limit, directory))
        )
        stack.push_async_callback(transport.aclose)
        participants = ParticipantsClient(directory.urls, transport, terms=directory.terms)
        tokens = CallbackTokens(await _secret(log, clock))
        executor = Executor(participants, tokens, clock, limit=limit, terms=directory.terms)
        callbacks = Callbacks(HttpCallbackSender(transport), clock)
        event_counts = EventCounts()
        observe = partial(_observe, event_counts, projector)
        driver = Driver(journal, executor, callbacks, clock, observe)
        orchestrator = Orchestrator(log, registry, journal, driver, clock)
        bulk = BulkJobs(orchestrator, clock)
        listing = StatusListing(readers, projector.step)
        recovery = Recovery(log, journal, driver, clock, partial(_unfinished, projector, tables))
        await recovery.run(range(SHARDS))
        async with asyncio.TaskGroup() as loops:
            tasks = [loops.create_task(one) for one in (projector.run(), driver.timers.run())]
            yield Services(
                orchestrator=orchestrator,
                listing=listing,
                health=HealthQuestion(ServiceHealth(log, driver)),
                callbacks=CallbackPolicy(
                    directory.urls.values(), loopback=settings.saga_callback_loopback
                ),
                audit=partial(verify_log, log),
                tokens=tokens,
                bulk=bulk,
                feed=LogFeed(log, readers, listing.refresh),
                statistics=StatusStatistics(readers, listing.refresh),
                executor=executor,
                event_counts=event_counts,
                participants=directory.urls,
            )
            await bulk.close()
            await driver.drain(settings.saga_drain_time)
            for task in tasks:
                task.cancel()
        await projector.step()


def _observe(
    counts: EventCounts, projector: Projector, saga: Saga, recorded: Sequence[RecordedEvent]
) -> None:
    projector.observe(saga, recorded)
    counts.observe(saga, recorded)


class ServiceHealth:
    """What the service depends on: one database, which must answer and take what is written.

    And shards of its own: who was overtaken by another process records nothing any more, and says
    so until somebody starts it again.
    """

    def __init__(self, log: PostgresLog, driver: Driver) -> None:
        self.log, self.driver = log, driver

    async def check(self) -> Mapping[str, Check]:
        return {"database": await self._database(), "shards": self._shards()}

    async def _database(self) -> Check:
        try:
            await self.log.ping()
        except LogUnavailable as error:
            return Check(False, str(error))
        stalled, lost = self.log.stalled_for, self.log.history_lost
        if stalled is not None and stalled > SILENT:
            return Check(False, f"no append for {stalled.total_seconds():.0f} s")
        if lost is not None:
            return Check(False, f"{lost}; start the service again to go on from there")
        return Check(True)

    def _shards(self) -> Check:
        if self.driver.fenced:
            return Check(False, "another process has claimed them; stop one of the two")
        return Check(True)


def _directory(settings: Settings) -> Directory:
    file = settings.saga_participants_file
    if file is None:
        return Directory(urls=settings.saga_participants, terms={})
    try:
        return read_directory(file.read_text(), settings.saga_participants, secret_named)
    except (OSError, ValueError) as error:
        why = f"SAGA_PARTICIPANTS_FILE: {file} is refused: {_one_line(error)}"
        raise InvalidSettings(why) from error


def _most_calls(limit: int, directory: Directory) -> int:
    """At a time to any participant: whoever has its turn must find a connection."""
    return max([limit, *(one.calls_at_a_time or limit for one in directory.terms.values())])


async def _secret(log: PostgresLog, clock: SystemClock) -> bytes:
    """What the tokens of callbacks are made with: drawn once, and shared by all nodes."""
    drawn = secrets.token_bytes(SECRET_BYTES)
    await log.put_document("secret", "callback-token", 1, drawn, put_at=clock.now())
    kept = await log.get_document("secret", "callback-token", 1)
    assert kept is not None, "it has just been put there, by us or by somebody else"
    return kept.content


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


async def _unfinished(projector: Projector, tables: Tables) -> list[Unfinished]:
    await projector.catch_up()
    waiting = await tables.unfinished(range(SHARDS))
    return [Unfinished(one.saga_id, one.is_idle, one.wake_at) for one in waiting]


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
    except NOT_NOW as error:
        raise InvalidSettings(f"DATABASE_URL cannot be used: {_one_line(error)}") from error


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())


async def _register_definitions(registry: Registry, settings: Settings) -> None:
    await registry.load()
    folder = settings.saga_definitions_dir
    for file in (BUILT_IN, *(sorted(folder.glob("*.yaml")) if folder else ())):
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
        except (InvalidSettings, EventStoreError, *NOT_NOW) as error:
            print(f"saga: {_one_line(error)}", file=sys.stderr)
            # The server has nothing to add: whoever starts it reads one line.
            logging.getLogger("uvicorn.error").disabled = True
            await send({"type": f"lifespan.{phase}.failed"})
        except Exception:  # noqa: BLE001 - the top of the service
            logger.exception("the service failed")
            await send({"type": f"lifespan.{phase}.failed"})
        else:
            await send({"type": "lifespan.shutdown.complete"})

    @asynccontextmanager
    async def _serving(self) -> AsyncIterator[None]:
        settings = read_settings()
        configure_logging(settings.saga_log_level)
        async with running(settings) as services:
            with _told_to_stop(services.orchestrator.driver):
                self._app = build_app(services, version=VERSION)
                _spare_what_stays()
                yield


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
