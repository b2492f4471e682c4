"""The composition root: the only place that wires the rooms together.

uvicorn server:app          `app` below
python server.py            the same, on SAGA_HOST and SERVICE_PORT
saga serve                  the same
"""

from __future__ import annotations

import asyncio
import gc
import secrets
import socket
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from importlib import metadata
from pathlib import Path

import psycopg
from psycopg.errors import UndefinedTable
from saga_orchestrator import examples, projections
from saga_orchestrator.document_files import UnreadableFile, parse_document, read_text
from saga_orchestrator.eventstore.cluster.postgres import PostgresInbox, PostgresMembership
from saga_orchestrator.eventstore.embedded import embedded_server, has_embedded_server
from saga_orchestrator.eventstore.errors import (
    EmbeddedServerFailed,
    EventStoreError,
    LogUnavailable,
    UnsuitableDatabase,
)
from saga_orchestrator.eventstore.event import Head, RecordedEvent
from saga_orchestrator.eventstore.postgres.event_log import PostgresLog
from saga_orchestrator.eventstore.postgres.migrations import MIGRATIONS, migrate
from saga_orchestrator.eventstore.postgres.reader_pool import ReaderPool
from saga_orchestrator.eventstore.postgres.refusals import Refusals, describe_error
from saga_orchestrator.eventstore.postgres.requirements import require_suitable_database
from saga_orchestrator.eventstore.postgres.statements import DatabaseMode
from saga_orchestrator.fsm.definitions.definition import Definition
from saga_orchestrator.fsm.definitions.findings import InvalidDefinition
from saga_orchestrator.fsm.definitions.parser import load_registered_definition
from saga_orchestrator.fsm.formats.redaction import Redaction, secret_forms
from saga_orchestrator.fsm.runtime.bulk import BulkJobs
from saga_orchestrator.fsm.runtime.calls.callback_tokens import SECRET_BYTES, CallbackTokens
from saga_orchestrator.fsm.runtime.calls.executor import Executor
from saga_orchestrator.fsm.runtime.clock import SystemClock
from saga_orchestrator.fsm.runtime.completion_webhooks import CompletionWebhooks
from saga_orchestrator.fsm.runtime.definition_registry import DefinitionRegistry
from saga_orchestrator.fsm.runtime.driver import Driver
from saga_orchestrator.fsm.runtime.errors import DefinitionExists
from saga_orchestrator.fsm.runtime.health import HealthCheck
from saga_orchestrator.fsm.runtime.local_sagas import LocalSagas
from saga_orchestrator.fsm.runtime.logging import configure_logging
from saga_orchestrator.fsm.runtime.metrics import EventMetrics
from saga_orchestrator.fsm.runtime.orchestrator import Orchestrator
from saga_orchestrator.fsm.runtime.saga_repository import SagaRepository
from saga_orchestrator.fsm.runtime.sharding.lease import NodeLease
from saga_orchestrator.fsm.runtime.sharding.node_messenger import NodeMessenger
from saga_orchestrator.fsm.runtime.sharding.rebalancer import ShardRebalancer
from saga_orchestrator.fsm.runtime.sharding.recovery import Recovery, UnfinishedSaga
from saga_orchestrator.fsm.saga import Saga
from saga_orchestrator.http.app import build_app
from saga_orchestrator.http.health import HealthQuestion
from saga_orchestrator.http.open_connections import raise_descriptor_limit
from saga_orchestrator.http.participants.client import ParticipantsClient
from saga_orchestrator.http.participants.config import (
    ParticipantsConfig,
    check_urls,
    participant_names,
    read_participants_config,
)
from saga_orchestrator.http.participants.pool import TransportLimits
from saga_orchestrator.http.participants.system_errors import describe_os_error
from saga_orchestrator.http.participants.transport import ParticipantTransport
from saga_orchestrator.http.participants.webhook_limiter import MAX_PER_ORIGIN
from saga_orchestrator.http.participants.webhook_sender import HttpWebhookSender, WebhookPolicy
from saga_orchestrator.http.services import AppContext
from saga_orchestrator.http.uvicorn_server import LifespanApp, build_server, on_termination_signal
from saga_orchestrator.projections import statement
from saga_orchestrator.projections.audit.chain import verify_log
from saga_orchestrator.projections.audit.doctor import Doctor
from saga_orchestrator.projections.audit.evidence import Evidence
from saga_orchestrator.projections.audit.saga_audit import AuditContext
from saga_orchestrator.projections.feed import LogFeed
from saga_orchestrator.projections.listing import StatusListing
from saga_orchestrator.projections.projector import Projector
from saga_orchestrator.projections.stats import StatusTableStatistics
from saga_orchestrator.projections.status_table import StatusTable
from saga_orchestrator.settings import InvalidSettings, Settings, read_secret, read_settings
from starlette.types import ASGIApp

DEFINITIONS = Path(examples.__file__).parent / "definitions"
BUILT_IN, WITH_INPUT = (
    DEFINITIONS / "order_processing.yaml",
    DEFINITIONS / "order_processing_2.yaml",
)
EMBEDDED = "postgresql"  # the folder of the embedded server, in SAGA_DATA_DIR
VERSION = metadata.version("saga-orchestrator")
VIEW_QUERY_TIMEOUT = timedelta(seconds=10)  # a list that takes longer is given up
NODE_QUERY_TIMEOUT = timedelta(
    seconds=4
)  # a message or a reservation of shards: the next beat waits for it
CHECK_QUERY_TIMEOUT = timedelta(minutes=10)  # of one statement of a check, on a log of any size
TOKEN_SECRET = ("secret", "callback-token", 1)
FIRST_SHARD_TIMEOUT = timedelta(seconds=15)  # longer than a frozen node keeps its own
GC_THRESHOLD_OBJECTS = 20_000  # some 200 sagas; Python's own 700 are seven
ROOMS = [("eventstore", MIGRATIONS), ("projections", projections.MIGRATIONS)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Stores:
    """What is kept in the database, as this node reaches it."""

    node_id: str
    log: PostgresLog
    tables: StatusTable
    readers: ReaderPool
    views: ReaderPool
    membership: PostgresMembership
    refusals: Refusals


@asynccontextmanager
async def open_service(settings: Settings) -> AsyncIterator[AppContext]:
    """Everything wired, recovered and driving its sagas; stopped in order at the end."""
    directory = _directory(settings)
    clock = SystemClock()
    async with AsyncExitStack() as stack:
        stores = await _open_stores(settings, clock.new_saga_id(0, 1), stack)
        log = stores.log
        lease = NodeLease()
        registry = DefinitionRegistry(log, clock, settings.saga_sleep_cap, lease)
        await _register_definitions(registry, settings)
        repository = SagaRepository(log, registry)
        projector = Projector(stores.tables, log, repository.load_many)
        tokens = CallbackTokens(await _callback_secret(log, clock))
        driver, event_metrics = _driver(settings, directory, repository, projector, tokens, stack)
        local_sagas = LocalSagas(repository, driver, lease)
        nudges = settings.saga_database_mode == "postgresql"
        inbox = PostgresInbox(stores.readers, nudges=nudges)
        messenger = NodeMessenger(inbox, local_sagas, clock, stores.node_id)
        unfinished = partial(_unfinished_sagas, projector, stores.tables)
        rebalancer = ShardRebalancer(
            stores.membership,
            Recovery(log, driver, clock, unfinished),
            driver,
            messenger,
            lease,
            projector.release_shards,
            shards=settings.saga_shards,
        )
        stack.push_async_callback(rebalancer.close)
        orchestrator = Orchestrator(log, registry, local_sagas, clock, messenger)
        bulk = BulkJobs(orchestrator, clock)
        listing = StatusListing(stores.views, projector.flush)
        async with asyncio.TaskGroup() as group:
            loops = (
                projector.run(), driver.timers.run(), rebalancer.run(), log.wait_for_failure(),
            )  # fmt: skip
            tasks = [group.create_task(loop) for loop in loops]
            await rebalancer.wait_for_first_shard(FIRST_SHARD_TIMEOUT)
            yield AppContext(
                orchestrator=orchestrator,
                listing=listing,
                health=HealthQuestion(
                    HealthCheck(
                        log,
                        rebalancer,
                        driver.webhooks,
                        stores.refusals,
                        driver.sagas_awaiting_urls,
                    )
                ),
                callbacks=_callback_policy(settings, directory),
                audit=partial(verify_log, log),
                tokens=tokens,
                bulk=bulk,
                feed=LogFeed(log, stores.views, listing.refresh),
                statistics=StatusTableStatistics(stores.views, listing.refresh),
                executor=driver.executor,
                event_counts=event_metrics,
                participants=directory.urls,
                redaction=Redaction(directory.secrets()),
            )
            await bulk.close()
            driver.begin_stop()
            await rebalancer.hand_over_all(settings.saga_drain_time)
            await driver.drain(timedelta())
            for task in tasks:
                task.cancel()
        await projector.flush()


async def _open_stores(settings: Settings, node_id: str, stack: AsyncExitStack) -> Stores:
    """Over connections that are closed with `stack`."""
    url = await _database(settings, stack)
    mode, refusals = settings.saga_database_mode, Refusals()
    connections = settings.saga_database_connections
    await _retry_once_at_start(lambda: require_suitable_database(url, mode, connections))
    await _migrate(url, mode)
    ahead, for_clients, for_views, for_node = _reader_pool_sizes(connections)
    log = PostgresLog(
        url, owner=node_id, mode=mode, readers=for_clients, ahead=ahead, refusals=refusals
    )
    tables = StatusTable(url, owner=node_id, mode=mode, refusals=refusals)
    readers = ReaderPool(
        url, NODE_QUERY_TIMEOUT, owner=node_id, mode=mode, most=for_node, refusals=refusals
    )
    views = ReaderPool(
        url,
        VIEW_QUERY_TIMEOUT,
        statement,
        owner=node_id,
        mode=mode,
        most=for_views,
        refusals=refusals,
    )
    connected = (log, tables, readers, views)

    async def close_idle() -> None:
        for one in connected:
            await one.close_idle()

    membership = PostgresMembership(
        url,
        readers,
        node_id,
        life_lines=mode == "postgresql",
        on_loss=close_idle,
        refusals=refusals,
    )
    for one in connected:
        stack.push_async_callback(one.close)
    for pool in (log, readers, views):
        await _retry_once_at_start(pool.open)
    return Stores(
        node_id=node_id,
        log=log,
        tables=tables,
        readers=readers,
        views=views,
        membership=membership,
        refusals=refusals,
    )


def _reader_pool_sizes(connections: int) -> Sequence[int]:
    """Of the four groups of readers: what the writer, the heartbeat and the status view leave."""
    each, left = divmod(connections - 3, 4)
    return [each + (place < left) for place in range(4)]


def _driver(
    settings: Settings,
    directory: ParticipantsConfig,
    repository: SagaRepository,
    projector: Projector,
    tokens: CallbackTokens,
    stack: AsyncExitStack,
) -> tuple[Driver, EventMetrics]:
    """With all that it calls; the connections are closed with `stack`."""
    clock, limit = SystemClock(), settings.saga_calls_per_participant
    limits = TransportLimits(connections_per_origin=_max_calls_per_participant(limit, directory))
    transport = ParticipantTransport(limits)
    stack.push_async_callback(transport.aclose)
    participants = ParticipantsClient(directory.urls, transport, terms=directory.terms)
    executor = Executor(
        participants,
        tokens,
        clock,
        limit=limit,
        settings=directory.terms,
        addressed=directory.urls,
    )
    guarded = ParticipantTransport(
        TransportLimits(connections_per_origin=MAX_PER_ORIGIN),
        may_reach=_callback_policy(settings, directory).allows,
    )
    stack.push_async_callback(guarded.aclose)
    webhooks, event_metrics = CompletionWebhooks(HttpWebhookSender(guarded), clock), EventMetrics()
    observe = partial(_observe, event_metrics, projector)
    limit = settings.saga_nesting_limit
    driver = Driver(repository, executor, webhooks, clock, observe, nesting_limit=limit)
    return driver, event_metrics


def _callback_policy(settings: Settings, directory: ParticipantsConfig) -> WebhookPolicy:
    return WebhookPolicy(directory.urls.values(), loopback=settings.saga_callback_loopback)


def _observe(
    counts: EventMetrics, projector: Projector, saga: Saga, recorded: Sequence[RecordedEvent]
) -> None:
    projector.observe(saga, recorded)
    counts.observe(saga, recorded)


def _directory(settings: Settings) -> ParticipantsConfig:
    file = settings.saga_participants_file
    try:
        check_urls(settings.saga_participants)
    except ValueError as error:
        raise InvalidSettings(f"<NAME>_SERVICE_URL is wrong: {_one_line(error)}") from error
    if file is None:
        return ParticipantsConfig(urls=settings.saga_participants, terms={})
    try:
        return read_participants_config(read_text(file), settings.saga_participants, read_secret)
    except ValueError as error:
        raise _file_refused(file, error) from error


def _file_refused(file: Path, error: ValueError) -> InvalidSettings:
    return InvalidSettings(f"SAGA_PARTICIPANTS_FILE: {file} is refused: {_one_line(error)}")


def addressed_participants(settings: Settings) -> Collection[str]:
    """Return the names that have a URL, without the secrets that calls need.

    Raises InvalidSettings.
    """
    file = settings.saga_participants_file
    if file is None:
        return settings.saga_participants.keys()
    try:
        return {*settings.saga_participants, *participant_names(read_text(file))}
    except ValueError as error:
        raise _file_refused(file, error) from error


def _max_calls_per_participant(limit: int, directory: ParticipantsConfig) -> int:
    """At a time to any participant: whoever has its turn must find a connection."""
    return max([limit, *(one.calls_at_a_time or limit for one in directory.terms.values())])


async def _callback_secret(log: PostgresLog, clock: SystemClock) -> bytes:
    """What the tokens of callbacks are made with: drawn once, and shared by all nodes."""
    drawn = secrets.token_bytes(SECRET_BYTES)
    await log.put_document(*TOKEN_SECRET, drawn, put_at=clock.now())
    kept = await log.get_document(*TOKEN_SECRET)
    assert kept is not None, "it has just been put there, by us or by somebody else"
    return kept.content


async def rebuild_projections(settings: Settings) -> int:
    """Fold the read models anew; returns the number of events."""
    async with AsyncExitStack() as stack:
        database_url = await _existing_database(settings, stack)
        mode = settings.saga_database_mode
        log, tables = PostgresLog(database_url, mode=mode), StatusTable(database_url, mode=mode)
        stack.push_async_callback(log.close)
        stack.push_async_callback(tables.close)
        await _heads(log)  # before anything is made
        await _migrate(database_url, mode)
        registry = DefinitionRegistry(log, SystemClock())
        await registry.load()
        return await Projector(tables, log, SagaRepository(log, registry).load_many).rebuild()


@asynccontextmanager
async def open_doctor(
    settings: Settings, witnesses: Evidence, patience: timedelta
) -> AsyncIterator[Doctor]:
    """It only reads. What should have gone on `patience` ago stands still."""
    async with AsyncExitStack() as stack:
        database_url = await _existing_database(settings, stack)
        mode = settings.saga_database_mode
        log, clock = PostgresLog(database_url, mode=mode), SystemClock()
        stack.push_async_callback(log.close)
        readers = ReaderPool(database_url, CHECK_QUERY_TIMEOUT, statement, mode=mode)
        stack.push_async_callback(readers.close)
        heads, registry = await _heads(log), DefinitionRegistry(log, clock)
        await registry.load()
        kept = await log.get_document(*TOKEN_SECRET)
        values = [one.encode() for one in _directory(settings).secrets()]
        grounds = AuditContext(
            definitions={(one.name, one.version): one for one in registry.known()},
            evidence=witnesses,
            overdue=clock.now() - patience,
            secrets=secret_forms([*values, *([kept.content] if kept else [])]),
            callback_token=CallbackTokens(kept.content).issue if kept else None,
        )
        yield Doctor(log, readers, heads, grounds)


async def _unfinished_sagas(
    projector: Projector, tables: StatusTable, shard_ids: Sequence[int]
) -> list[UnfinishedSaga]:
    try:
        await projector.acquire_shards(shard_ids)
        waiting = await tables.unfinished_sagas(shard_ids)
    except psycopg.Error as error:
        raise LogUnavailable(str(error)) from error
    return [UnfinishedSaga(one.saga_id, one.is_idle, one.wake_at) for one in waiting]


async def _database(settings: Settings, stack: AsyncExitStack) -> str:
    """The URL of the database; without one an embedded server, stopped again at the end."""
    if settings.database_url is not None:
        return settings.database_url
    server = embedded_server(settings.saga_data_dir / EMBEDDED)
    try:
        started = await asyncio.to_thread(server.__enter__)
    except (OSError, EmbeddedServerFailed) as error:
        raise InvalidSettings(f"SAGA_DATA_DIR cannot be used: {_one_line(error)}") from error
    stack.push_async_callback(asyncio.to_thread, server.__exit__, None, None, None)
    return started.url


async def _existing_database(settings: Settings, stack: AsyncExitStack) -> str:
    """The URL of the service's database, for what only looks at it: none is made."""
    folder = settings.saga_data_dir / EMBEDDED
    if settings.database_url is None and not has_embedded_server(folder):
        raise InvalidSettings(
            f"there is no database in {folder.absolute()}: go to the folder in which the service"
            " was started, or set DATABASE_URL or SAGA_DATA_DIR as for the service"
        )
    return await _database(settings, stack)


async def _heads(log: PostgresLog) -> Mapping[int, Head]:
    """Those of a log that is there. Raises InvalidSettings, LogUnavailable."""
    try:
        return await log.heads()
    except LogUnavailable as error:
        if not isinstance(error.__cause__, UndefinedTable):
            raise
        why = "DATABASE_URL has no log: let it lead to the database of the service"
        raise InvalidSettings(why) from error


async def _migrate(database_url: str, mode: DatabaseMode) -> None:
    await _retry_once_at_start(lambda: migrate(database_url, ROOMS, mode))


async def _retry_once_at_start(work: Callable[[], Awaitable[object]]) -> None:
    """Do what a start needs of the database, once more if a connection was lost meanwhile. Raises
    InvalidSettings: a supervisor that starts the process again waits better than this one."""
    try:
        try:
            await work()
        except psycopg.OperationalError:
            await work()
    except UnsuitableDatabase as error:
        raise InvalidSettings(f"DATABASE_URL cannot be used: {error.reason}") from error
    except psycopg.Error as error:
        raise InvalidSettings(f"DATABASE_URL cannot be used: {_one_line(error)}") from error


def _one_line(error: Exception) -> str:
    said = describe_os_error(error) if isinstance(error, OSError) else describe_error(error)
    return " ".join(said.split())


async def _register_definitions(registry: DefinitionRegistry, settings: Settings) -> None:
    await registry.load()
    folder = settings.saga_definitions_dir
    for file in (BUILT_IN, *(sorted(folder.glob("*.yaml")) if folder else ())):
        await _register(registry, file)
    with suppress(DefinitionExists):  # a version 2 that was there before this one stays
        await registry.register(_definition(WITH_INPUT))


async def _register(registry: DefinitionRegistry, file: Path) -> None:
    try:
        await registry.register(_definition(file))
    except (UnreadableFile, InvalidDefinition, DefinitionExists) as error:
        raise InvalidSettings(
            f"SAGA_DEFINITIONS_DIR: {file} is refused: {_one_line(error)}"
        ) from error


def _definition(file: Path) -> Definition:
    return load_registered_definition(parse_document(file, read_text(file)))


@asynccontextmanager
async def _serving() -> AsyncIterator[ASGIApp]:
    settings = read_settings()
    configure_logging(settings.saga_log_level)
    async with open_service(settings) as services:
        with on_termination_signal(services.orchestrator.begin_stop):
            tune_garbage_collector()
            yield build_app(
                services,
                version=VERSION,
                hosts=(socket.gethostname(), settings.saga_host, *settings.saga_allowed_hosts),
                origins=settings.saga_allowed_origins,
            )


def tune_garbage_collector() -> None:
    """What a started service holds is no garbage: looking for some took a tenth of its time."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(GC_THRESHOLD_OBJECTS, 10, 20)


def main() -> None:
    """Serve until told to stop. A wrong setting ends it with one line on standard error."""
    try:
        settings = read_settings()
        door = bind_listener(settings)
    except InvalidSettings as error:
        sys.exit(f"saga: {error}")
    raise_descriptor_limit()
    with suppress(KeyboardInterrupt):
        build_server(app).run(sockets=[door])


def bind_listener(settings: Settings) -> socket.socket:
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


app = LifespanApp(_serving, (InvalidSettings, EventStoreError, psycopg.Error))

if __name__ == "__main__":
    main()
