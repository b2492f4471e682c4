"""The composition root: the only module that wires the rooms together.

`open_service` is the whole service, `open_doctor` the audit of its log, `rebuild_projections` the
read models anew. Every part gets what it uses through its constructor.
"""

from __future__ import annotations

import asyncio
import secrets
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path

import psycopg
from psycopg.errors import UndefinedTable

from . import projections
from .document_files import UnreadableFile, parse_document, read_text
from .eventstore import (
    EmbeddedServerFailed,
    Head,
    LogUnavailable,
    RecordedEvent,
    UnsuitableDatabase,
)
from .eventstore.cluster.postgres import PostgresInbox, PostgresMembership
from .eventstore.cluster.postgres_jobs import PostgresJobs
from .eventstore.embedded import embedded_server, has_embedded_server
from .eventstore.postgres import (
    MIGRATIONS,
    DatabaseMode,
    PostgresLog,
    ReaderPool,
    Refusals,
    describe_error,
    migrate,
    require_suitable_database,
)
from .eventstore.postgres import statement as log_statement
from .fsm import definitions
from .fsm.definitions.definition import Definition
from .fsm.definitions.findings import InvalidDefinition
from .fsm.definitions.parser import parse_unverified_definition
from .fsm.formats.redaction import Redaction, secret_forms
from .fsm.runtime.bulk import BulkJobs
from .fsm.runtime.calls.callback_tokens import SECRET_BYTES, CallbackTokens
from .fsm.runtime.calls.executor import Executor
from .fsm.runtime.clock import Clock, SystemClock
from .fsm.runtime.completion_webhooks import CompletionWebhooks
from .fsm.runtime.concurrency import SharedTimeout, WorkerThread
from .fsm.runtime.definition_registry import DefinitionRegistry
from .fsm.runtime.driver import Driver
from .fsm.runtime.errors import DefinitionExists
from .fsm.runtime.health import HealthCheck, SingleFlightHealthCheck
from .fsm.runtime.local_sagas import LocalSagas
from .fsm.runtime.metrics import EventMetrics
from .fsm.runtime.orchestrator import Orchestrator
from .fsm.runtime.saga_repository import SagaRepository
from .fsm.runtime.sharding.lease import NodeLease
from .fsm.runtime.sharding.node_messenger import NodeMessenger
from .fsm.runtime.sharding.rebalancer import ShardRebalancer
from .fsm.runtime.sharding.recovery import Recovery, UnfinishedSaga
from .fsm.saga import Saga
from .http.participants.client import ParticipantsClient
from .http.participants.config import (
    ParticipantsConfig,
    check_urls,
    participant_names,
    read_participants_config,
)
from .http.participants.pool import TransportLimits
from .http.participants.system_errors import describe_os_error
from .http.participants.transport import ParticipantTransport
from .http.participants.webhook_limiter import MAX_PER_ORIGIN
from .http.participants.webhook_sender import HttpWebhookSender, WebhookPolicy
from .http.state import AppState
from .http.wire.body import MAX_BODY_SECONDS
from .projections import statement
from .projections.audit.chain import verify_log
from .projections.audit.doctor import Doctor
from .projections.audit.evidence import Evidence
from .projections.audit.saga_audit import AuditContext
from .projections.feed import LogFeed
from .projections.listing import StatusListing
from .projections.projector import Projector
from .projections.stats import StatusTableStatistics
from .projections.status_table import StatusTable
from .settings import InvalidSettings, Settings, read_secret

DEFINITIONS = Path(definitions.__file__).parent / "builtin"
BUILT_IN, WITH_INPUT = (
    DEFINITIONS / "order_processing.yaml",
    DEFINITIONS / "order_processing_2.yaml",
)
EMBEDDED = "postgresql"  # the folder of the embedded server, in SAGA_DATA_DIR
VIEW_QUERY_TIMEOUT = timedelta(seconds=10)  # of lists; a longer one is cancelled
NODE_QUERY_TIMEOUT = timedelta(seconds=4)  # of the inbox and of shards: it delays a heartbeat
CHECK_QUERY_TIMEOUT = timedelta(minutes=10)  # of the doctor, on a log of any size
TOKEN_SECRET = ("secret", "callback-token", 1)
BULK_STOP_TIMEOUT = timedelta(seconds=2)  # for commands that are being recorded
FIRST_SHARD_TIMEOUT = timedelta(seconds=15)  # longer than a frozen node keeps its shards
ROOMS = [("eventstore", MIGRATIONS), ("projections", projections.MIGRATIONS)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Stores:
    """The log and the read models in the database, over the connections of this node."""

    node_id: str
    log: PostgresLog
    tables: StatusTable
    readers: ReaderPool
    views: ReaderPool
    membership: PostgresMembership
    jobs: PostgresJobs
    refusals: Refusals


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """The parts of this node that work on the stores."""

    orchestrator: Orchestrator
    driver: Driver
    rebalancer: ShardRebalancer
    projector: Projector
    bulk: BulkJobs
    tokens: CallbackTokens
    event_metrics: EventMetrics


@asynccontextmanager
async def open_service(settings: Settings) -> AsyncIterator[AppState]:
    """Open the service: wired, recovered and driving its sagas; stop it in order at the end."""
    config = _participants_config(settings)
    clock = SystemClock()
    async with AsyncExitStack() as stack:
        stores = await _open_stores(settings, clock.new_saga_id(0, 1), stack)
        node = await _wire_node(settings, config, stores, clock, stack)
        driver, rebalancer, projector = node.driver, node.rebalancer, node.projector
        async with asyncio.TaskGroup() as group:
            loops = (
                projector.run(), driver.timers.run(), rebalancer.run(),
                stores.log.wait_for_failure(),
            )  # fmt: skip
            tasks = [group.create_task(loop) for loop in loops]
            executing_jobs = group.create_task(node.bulk.run())
            await rebalancer.wait_for_first_shard(FIRST_SHARD_TIMEOUT)
            yield _app_state(settings, config, stores, node)
            # The service stops, from SIGTERM on: uvicorn has answered the requests in flight.
            node.bulk.stop()
            await asyncio.wait([executing_jobs], timeout=BULK_STOP_TIMEOUT.total_seconds())
            executing_jobs.cancel()
            await _stop_in_order(driver, rebalancer, settings.saga_drain_time)
            for task in tasks:
                task.cancel()
        await projector.flush()


async def _wire_node(
    settings: Settings,
    config: ParticipantsConfig,
    stores: Stores,
    clock: Clock,
    stack: AsyncExitStack,
) -> Node:
    """Make the parts of the node; those that must be closed are closed with `stack`."""
    log, lease = stores.log, NodeLease()
    registry = DefinitionRegistry(log, clock, settings.saga_sleep_cap, lease)
    await _register_definitions(registry, settings)
    repository = SagaRepository(log, registry)
    projector = Projector(stores.tables, log, repository.load_many)
    tokens = CallbackTokens(await _callback_secret(log, clock))
    driver, event_metrics = _driver(settings, config, repository, projector, tokens, stack)
    local_sagas = LocalSagas(repository, driver, lease)
    notifies = settings.saga_database_mode == "postgresql"
    inbox = PostgresInbox(stores.readers, notifies=notifies)
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
    return Node(
        orchestrator=Orchestrator(log, registry, local_sagas, clock, messenger),
        driver=driver,
        rebalancer=rebalancer,
        projector=projector,
        bulk=BulkJobs(stores.jobs, local_sagas, lambda: driver.shards, clock),
        tokens=tokens,
        event_metrics=event_metrics,
    )


def _app_state(
    settings: Settings, config: ParticipantsConfig, stores: Stores, node: Node
) -> AppState:
    log, driver = stores.log, node.driver
    health = HealthCheck(
        log, node.rebalancer, driver.webhooks, stores.refusals, driver.sagas_awaiting_urls
    )
    listing = StatusListing(stores.views, node.projector.flush)
    return AppState(
        orchestrator=node.orchestrator,
        listing=listing,
        health=SingleFlightHealthCheck(health),
        webhook_policy=_callback_policy(settings, config),
        audit=partial(verify_log, log),
        tokens=node.tokens,
        bulk=node.bulk,
        feed=LogFeed(log, stores.views, listing.refresh),
        statistics=StatusTableStatistics(stores.views, listing.refresh),
        executor=driver.executor,
        event_counts=node.event_metrics,
        participants=config.urls,
        worker_thread=WorkerThread(),
        body_timeout=SharedTimeout(timedelta(seconds=MAX_BODY_SECONDS)),
        redaction=Redaction(config.secrets()),
        allowed_hosts=(socket.gethostname(), settings.saga_host, *settings.saga_allowed_hosts),
        allowed_origins=settings.saga_allowed_origins,
    )


async def _stop_in_order(
    driver: Driver, rebalancer: ShardRebalancer, drain_time: timedelta
) -> None:
    """Send no new calls, let those in flight finish within `drain_time`, and hand the shards over
    to other nodes."""
    driver.begin_stop()
    await rebalancer.hand_over_all(drain_time)
    await driver.drain(timedelta())


async def _open_stores(settings: Settings, node_id: str, stack: AsyncExitStack) -> Stores:
    """Open the stores over connections that are closed with `stack`."""
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
        for pool in connected:
            await pool.close_idle()

    membership = PostgresMembership(
        url,
        readers,
        node_id,
        liveness_locks=mode == "postgresql",
        on_loss=close_idle,
        refusals=refusals,
    )
    for pool in connected:
        stack.push_async_callback(pool.close)
    for pool in (log, readers, views):
        await _retry_once_at_start(pool.open)
    return Stores(
        node_id=node_id,
        log=log,
        tables=tables,
        readers=readers,
        views=views,
        membership=membership,
        jobs=PostgresJobs(
            clients=views.part(_half(for_views), log_statement),
            node=readers.part(_half(for_node)),
        ),
        refusals=refusals,
    )


def _reader_pool_sizes(connections: int) -> Sequence[int]:
    """Return the sizes of the four reader pools. The writer, the heartbeat and the status table
    have a connection each."""
    each, left = divmod(connections - 3, 4)
    return [each + (index < left) for index in range(4)]


def _half(connections: int) -> int:
    """Return how many connections bulk jobs may use of those that they share: with the lists of
    sagas, or with the inbox and the shards."""
    return max(1, connections // 2)


def _driver(
    settings: Settings,
    config: ParticipantsConfig,
    repository: SagaRepository,
    projector: Projector,
    tokens: CallbackTokens,
    stack: AsyncExitStack,
) -> tuple[Driver, EventMetrics]:
    """Return the driver, over connections to participants that are closed with `stack`."""
    clock, limit = SystemClock(), settings.saga_calls_per_participant
    limits = TransportLimits(connections_per_origin=_max_calls_per_participant(limit, config))
    transport = ParticipantTransport(limits)
    stack.push_async_callback(transport.aclose)
    participants = ParticipantsClient(config.urls, transport, settings=config.settings)
    executor = Executor(
        participants,
        tokens,
        clock,
        limit=limit,
        settings=config.settings,
        addressed=config.urls,
    )
    guarded = ParticipantTransport(
        TransportLimits(connections_per_origin=MAX_PER_ORIGIN),
        address_policy=_callback_policy(settings, config).allows,
    )
    stack.push_async_callback(guarded.aclose)
    webhooks, event_metrics = CompletionWebhooks(HttpWebhookSender(guarded), clock), EventMetrics()
    observe = partial(_observe, event_metrics, projector)
    limit = settings.saga_nesting_limit
    driver = Driver(repository, executor, webhooks, clock, observe, nesting_limit=limit)
    return driver, event_metrics


def _callback_policy(settings: Settings, config: ParticipantsConfig) -> WebhookPolicy:
    return WebhookPolicy(config.urls.values(), loopback=settings.saga_callback_loopback)


def _observe(
    counts: EventMetrics, projector: Projector, saga: Saga, recorded: Sequence[RecordedEvent]
) -> None:
    projector.observe(saga, recorded)
    counts.observe(saga, recorded)


def _participants_config(settings: Settings) -> ParticipantsConfig:
    file = settings.saga_participants_file
    try:
        check_urls(settings.saga_participants)
    except ValueError as error:
        raise InvalidSettings(f"<NAME>_SERVICE_URL is wrong: {_one_line(error)}") from error
    if file is None:
        return ParticipantsConfig(urls=settings.saga_participants, settings={})
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


def _max_calls_per_participant(limit: int, config: ParticipantsConfig) -> int:
    """Return the largest limit: a call that has its slot must find a connection."""
    return max(
        [limit, *(settings.calls_at_a_time or limit for settings in config.settings.values())]
    )


async def _callback_secret(log: PostgresLog, clock: Clock) -> bytes:
    """Return the secret of callback tokens: drawn once, and shared by all nodes."""
    drawn = secrets.token_bytes(SECRET_BYTES)
    await log.put_document(*TOKEN_SECRET, drawn, put_at=clock.now())
    document = await log.get_document(*TOKEN_SECRET)
    assert document is not None, "this node or another one has just put it"
    return document.content


async def rebuild_projections(settings: Settings) -> int:
    """Rebuild the read models from the log; return the number of events."""
    async with AsyncExitStack() as stack:
        database_url = await _existing_database(settings, stack)
        mode = settings.saga_database_mode
        log, tables = PostgresLog(database_url, mode=mode), StatusTable(database_url, mode=mode)
        stack.push_async_callback(log.close)
        stack.push_async_callback(tables.close)
        await _heads(log)  # raises before anything is created
        await _migrate(database_url, mode)
        registry = DefinitionRegistry(log, SystemClock())
        await registry.load()
        return await Projector(tables, log, SagaRepository(log, registry).load_many).rebuild()


@asynccontextmanager
async def open_doctor(
    settings: Settings, evidence: Evidence, patience: timedelta
) -> AsyncIterator[Doctor]:
    """Open the audit of a log; it only reads. A saga due more than `patience` ago is stuck."""
    async with AsyncExitStack() as stack:
        database_url = await _existing_database(settings, stack)
        mode = settings.saga_database_mode
        log, clock = PostgresLog(database_url, mode=mode), SystemClock()
        stack.push_async_callback(log.close)
        readers = ReaderPool(database_url, CHECK_QUERY_TIMEOUT, statement, mode=mode)
        stack.push_async_callback(readers.close)
        heads, registry = await _heads(log), DefinitionRegistry(log, clock)
        await registry.load()
        document = await log.get_document(*TOKEN_SECRET)
        token_secret = None if document is None else document.content
        secret_values = [secret.encode() for secret in _participants_config(settings).secrets()]
        context = AuditContext(
            definitions={(each.name, each.version): each for each in registry.known()},
            evidence=evidence,
            overdue=clock.now() - patience,
            secrets=secret_forms([*secret_values, *([token_secret] if token_secret else [])]),
            callback_token=CallbackTokens(token_secret).issue if token_secret else None,
        )
        yield Doctor(log, readers, heads, context)


async def _unfinished_sagas(
    projector: Projector, tables: StatusTable, shard_ids: Sequence[int]
) -> Sequence[UnfinishedSaga]:
    """Return the sagas of these shards that are not at rest, after their projection caught up."""
    try:
        await projector.acquire_shards(shard_ids)
        return await tables.unfinished_sagas(shard_ids)
    except psycopg.Error as error:
        raise LogUnavailable(str(error)) from error


async def _database(settings: Settings, stack: AsyncExitStack) -> str:
    """Return the URL of the database; without one, of an embedded server stopped with `stack`."""
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
    """Return the URL of a database that exists. Raises InvalidSettings."""
    folder = settings.saga_data_dir / EMBEDDED
    if settings.database_url is None and not has_embedded_server(folder):
        raise InvalidSettings(
            f"there is no database in {folder.absolute()}: go to the folder in which the service"
            " was started, or set DATABASE_URL or SAGA_DATA_DIR as for the service"
        )
    return await _database(settings, stack)


async def _heads(log: PostgresLog) -> Mapping[int, Head]:
    """Return the heads of a log that exists. Raises InvalidSettings, LogUnavailable."""
    try:
        return await log.heads()
    except LogUnavailable as error:
        if not isinstance(error.__cause__, UndefinedTable):
            raise
        detail = "DATABASE_URL has no log: let it lead to the database of the service"
        raise InvalidSettings(detail) from error


async def _migrate(database_url: str, mode: DatabaseMode) -> None:
    await _retry_once_at_start(lambda: migrate(database_url, ROOMS, mode))


async def _retry_once_at_start(work: Callable[[], Awaitable[object]]) -> None:
    """Run `work`, once more if a connection is lost meanwhile.

    Raises InvalidSettings: a supervisor that restarts the process waits better than the process.
    """
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
    text = describe_os_error(error) if isinstance(error, OSError) else describe_error(error)
    return " ".join(text.split())


async def _register_definitions(registry: DefinitionRegistry, settings: Settings) -> None:
    await registry.load()
    folder = settings.saga_definitions_dir
    for file in (BUILT_IN, *(sorted(folder.glob("*.yaml")) if folder else ())):
        await _register(registry, file)
    with suppress(DefinitionExists):  # an older version 2 of a user stays
        await registry.register(_definition(WITH_INPUT))


async def _register(registry: DefinitionRegistry, file: Path) -> None:
    try:
        await registry.register(_definition(file))
    except (UnreadableFile, InvalidDefinition, DefinitionExists) as error:
        raise InvalidSettings(
            f"SAGA_DEFINITIONS_DIR: {file} is refused: {_one_line(error)}"
        ) from error


def _definition(file: Path) -> Definition:
    return parse_unverified_definition(parse_document(file, read_text(file)))
