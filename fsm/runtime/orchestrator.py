"""The application interface of the service: start, read and command sagas. HTTP is built on it.

Any node serves any saga: a saga of another node is read from the log, and commands to it are sent
to the node that drives it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial

from msgspec.structs import replace

from ...eventstore import SHARD_COUNT, EventLog, StreamId
from ..decider.decide import allowed_actions, effective_deadline
from ..decider.driven_by_parent import driven_verbs, require_not_driven
from ..decider.dry_run import CompensationPlan, plan_compensation
from ..definitions.definition import Definition
from ..definitions.input_check import check_input
from ..inputs import Compensate, OperatorCommand, StartSaga, StepCallback
from ..saga import Saga
from .active_saga import ActiveSaga, Condition, is_at_rest
from .clock import Clock
from .completion_webhooks import PendingWebhooks
from .concurrency import SharedTimeout, TimeoutQueue
from .definition_registry import DefinitionRegistry
from .errors import (
    IdempotencyKeyReused,
    NotShardOwner,
    OutcomeUnknown,
    SagaNotFound,
    Unavailable,
    VersionNotReached,
)
from .local_sagas import LocalSagas, log_errors_as_unavailable
from .saga_repository import RecordedSagaEvent
from .sharding.node_messenger import NodeMessenger
from .sharding.node_protocol import RemoteCommand, RemoteStart

MIN_POLL_SECONDS, MAX_POLL_SECONDS = 0.05, 0.5  # between reads of a saga of another node
MAX_LOG_STALL = timedelta(seconds=2)  # a log that waits longer for the database takes no requests
RECORDING_TIMEOUT = timedelta(seconds=20)  # then the outcome is unknown to the client
NOT_CONFIRMED = "the log has not confirmed yet that the request is recorded"


@dataclass(frozen=True, slots=True)
class IdempotencyKey:
    """A client's idempotency key, and the digest of the request that it belongs to.

    `earlier_digest` computes the digest as former versions of the service recorded it.
    """

    key: str
    digest: bytes
    earlier_digest: Callable[[], bytes] | None = field(default=None, compare=False)

    def matches(self, recorded: bytes) -> bool:
        """True if the recorded digest is that of this request."""
        if recorded == self.digest:
            return True
        return self.earlier_digest is not None and recorded == self.earlier_digest()


@dataclass(frozen=True, slots=True)
class StartResult:
    """A started saga. `replayed`: an earlier request with the same key has started it."""

    saga: Saga
    replayed: bool


class Orchestrator:
    """Starts, reads and commands sagas on any node."""

    def __init__(
        self,
        log: EventLog,
        registry: DefinitionRegistry,
        local_sagas: LocalSagas,
        clock: Clock,
        messenger: NodeMessenger | None = None,
    ) -> None:
        """Without a `messenger` there are no other nodes."""
        self.log, self.registry, self.local_sagas = log, registry, local_sagas
        self.repository, self.driver = local_sagas.repository, local_sagas.driver
        self.clock, self.messenger = clock, messenger
        self._loop = asyncio.get_running_loop()
        self._recording = SharedTimeout(RECORDING_TIMEOUT)
        # One queue for each duration: there are few, because clients wait for whole seconds.
        self._timeouts: dict[timedelta, TimeoutQueue] = {}
        self._shard_rotation: list[int] = []  # shards that get the next new sagas

    async def start(
        self,
        saga_type: str,
        request: StartSaga,
        *,
        version: int | None = None,
        key: IdempotencyKey | None = None,
    ) -> StartResult:
        """Start a saga durably. Nothing is recorded if it raises what the core refuses.

        Raises DefinitionNotFound, InvalidInput, IdempotencyKeyReused, Unavailable, OutcomeUnknown.
        """
        self._require_responsive_log()
        try:
            with self._recording:
                definition = self.registry.cached(saga_type, version)
                if definition is None:
                    definition = await self.definition(saga_type, version)
                check_input(definition, request.input)
                if key is not None:
                    return await self._start_once(definition, request, key)
                return await self._start_anywhere(definition, request)
        except TimeoutError:
            raise OutcomeUnknown(NOT_CONFIRMED) from None

    async def find_started(self, key: IdempotencyKey) -> StartResult | None:
        """Return the saga that this key has started, without a new check of the request.

        Raises IdempotencyKeyReused, Unavailable.
        """
        with log_errors_as_unavailable():
            claim = await self.log.find_key(key.key)
        if claim is None:
            return None
        if not key.matches(claim.digest):
            raise IdempotencyKeyReused(key.key)
        try:
            return StartResult(await self.saga(claim.stream_id), replayed=True)
        except SagaNotFound:  # the start recorded nothing, and is checked like a new one
            return None

    def wait_until_rest(self, saga: Saga, within: timedelta) -> Awaitable[Saga]:
        """Return the saga once it is at rest, or as it is when the time is over."""
        return self._wait_for(saga, is_at_rest, within)

    async def saga(self, saga_id: str) -> Saga:
        """Return the saga as of now. Raises SagaNotFound, Unavailable."""
        return await self.local_sagas.saga(saga_id)

    async def saga_as_of(
        self, saga_id: str, *, version: int | None = None, at: datetime | None = None
    ) -> Saga:
        """Return the saga as of a version or a time. Raises SagaNotFound, VersionNotReached."""
        with log_errors_as_unavailable():
            return await self.repository.load_as_of(saga_id, version=version, at=at)

    async def saga_from(self, saga_id: str, version: int, within: timedelta) -> Saga:
        """Return the saga once it has reached `version`.

        Raises SagaNotFound; VersionNotReached when the time is over.
        """
        saga = await self.saga(saga_id)
        if saga.state.version < version:
            saga = await self._wait_for(saga, lambda later: later.state.version >= version, within)
        if saga.state.version < version:
            raise VersionNotReached(saga_id, f"has not reached version {version}")
        return saga

    async def read_events_page(
        self, saga_id: str, *, after: int, limit: int
    ) -> tuple[list[RecordedSagaEvent], bool]:
        """Return a page of the saga's events, in order, and whether there may be more.

        Raises SagaNotFound.
        """
        with log_errors_as_unavailable():
            return await self.repository.read_events_page(saga_id, after=after, limit=limit)

    async def execute(
        self, saga_id: str, command: OperatorCommand, *, expected_version: int | None = None
    ) -> Saga:
        """Execute an operator's command durably; return the saga after it.

        Raises SagaNotFound, NotAllowed, StepNotFound, VersionConflict, Unavailable, OutcomeUnknown.
        """
        return await self._handle(saga_id, command, expected_version)

    async def complete_step(self, saga_id: str, callback: StepCallback) -> Saga:
        """Record a participant's callback about an accepted step. Raises as `execute` does."""
        return await self._handle(saga_id, callback)

    async def _handle(
        self,
        saga_id: str,
        input_: OperatorCommand | StepCallback,
        expected_version: int | None = None,
    ) -> Saga:
        self._require_responsive_log()
        try:
            with self._recording:
                return await self.local_sagas.handle(saga_id, input_, expected_version)
        except TimeoutError:
            raise OutcomeUnknown(NOT_CONFIRMED) from None
        except NotShardOwner:
            if self.messenger is None:
                raise
        await self.saga(saga_id)  # raises SagaNotFound here, not at the other node
        request = RemoteCommand(saga_id=saga_id, input=input_, expected_version=expected_version)
        await self.messenger.request(request)
        return await self.saga(saga_id)

    async def compensation_plan(self, saga_id: str) -> CompensationPlan:
        """Return the calls that `compensate` would send.

        Raises SagaNotFound, NotCompensatable, DrivenByParent.
        """
        saga = await self.saga(saga_id)
        if saga.state.parent is not None:
            parent = await self.saga(saga.state.parent.saga_id)
            require_not_driven(saga, parent, Compensate())
        return plan_compensation(saga, now=self.clock.now())

    async def allowed_actions(self, saga: Saga) -> list[str]:
        """Return the commands that are legal now, also with regard to the saga's parent."""
        allowed = allowed_actions(saga)
        if saga.state.parent is None or not allowed:
            return list(allowed)
        driven = driven_verbs(saga, await self.saga(saga.state.parent.saga_id))
        return [verb for verb in allowed if verb not in driven]

    async def register(self, definition: Definition) -> bool:
        """Register a definition; return whether it is new.

        Raises InvalidDefinition, DefinitionExists.
        """
        with log_errors_as_unavailable():
            return await self.registry.register(definition)

    async def definition(self, name: str, version: int | None = None) -> Definition:
        """Return that version, or the latest. Raises DefinitionNotFound."""
        with log_errors_as_unavailable():
            return await self.registry.get(name, version)

    async def definitions(self) -> list[Definition]:
        """Return all definitions, in order of name and version."""
        with log_errors_as_unavailable():
            await self.registry.load()
        return self.registry.known()

    def now(self) -> datetime:
        return self.clock.now()

    def pending_webhooks(self) -> PendingWebhooks | None:
        """Return the undelivered completion webhooks of this node, or None if there are none."""
        return self.driver.webhooks.pending()

    def begin_stop(self) -> None:
        """Send nothing new from now on, and end the waits of all clients."""
        self.driver.begin_stop()

    def _require_responsive_log(self) -> None:
        """Raise Unavailable if the log has stalled: the request could only wait for it."""
        stalled = self.log.stalled_for
        if stalled is not None and stalled > MAX_LOG_STALL:
            raise Unavailable(f"the log has not answered for {stalled.total_seconds():.0f} s")

    async def _start_anywhere(self, definition: Definition, request: StartSaga) -> StartResult:
        while True:
            try:
                active = await self.driver.start(definition, self._new_saga_id(), request)
                return StartResult(active.saga, replayed=False)
            except NotShardOwner:
                continue  # with an id in another shard

    async def _start_once(
        self, definition: Definition, request: StartSaga, key: IdempotencyKey
    ) -> StartResult:
        with log_errors_as_unavailable():
            claim = await self.log.claim_key(
                key.key,
                digest=key.digest,
                stream_id=StreamId(self._new_saga_id()),
                claimed_at=self.clock.now(),
            )
        if not key.matches(claim.digest):
            raise IdempotencyKeyReused(key.key)
        start = RemoteStart(
            saga_id=claim.stream_id,
            saga_type=definition.name,
            version=definition.version,
            request=request,
        )
        return await self._start_with_id(start, definition)

    async def _start_with_id(self, start: RemoteStart, definition: Definition) -> StartResult:
        """Start the saga of a claimed key, wherever its shard is driven.

        The key may have been claimed by an earlier start that recorded nothing.
        """
        try:
            saga, replayed = await self.local_sagas.start(start)
            return StartResult(saga, replayed)
        except NotShardOwner:
            if self.messenger is None:
                raise
        deadline = effective_deadline(definition, start.request, self.clock.now())
        result = await self.messenger.request(
            replace(start, request=replace(start.request, deadline=deadline))
        )
        return StartResult(await self.saga(start.saga_id), result.replayed)

    async def _wait_for(self, saga: Saga, condition: Condition, within: timedelta) -> Saga:
        """Return the saga once `condition` holds, when the time is over, or this node stops."""
        driver, saga_id, timeouts = self.driver, saga.state.saga_id, self._timeouts_of(within)
        pause, end = MIN_POLL_SECONDS, self._loop.time() + within.total_seconds()
        while not condition(saga) and (left := end - self._loop.time()) > 0:
            if driver.drives(saga_id):
                saga = await self._watch(saga_id, condition, timeouts)
                if driver.drives(saga_id):
                    break
            else:
                await driver.sleep(min(pause, left))
                pause = min(2 * pause, MAX_POLL_SECONDS)
                saga, timeouts = await self.saga(saga_id), TimeoutQueue(end - self._loop.time())
                if driver.is_stopping:
                    break
        return saga

    def _timeouts_of(self, within: timedelta) -> TimeoutQueue:
        timeouts = self._timeouts.get(within)
        if timeouts is None:
            timeouts = self._timeouts[within] = TimeoutQueue(within.total_seconds())
        return timeouts

    async def _watch(self, saga_id: str, condition: Condition, timeouts: TimeoutQueue) -> Saga:
        """Return the saga once `condition` holds, as far as it comes on this node."""
        active, reached = await self.driver.watch(saga_id, condition)
        if self.driver.is_stopping:  # watchers were released already
            return active.saga
        timeouts.add(reached, partial(_resolve_with_current, active, reached))
        try:
            return await reached
        finally:
            timeouts.remove(reached)
            self.driver.evict_if_idle(active)

    def _new_saga_id(self) -> str:
        """Return an id in one of the shards of this node, each in turn. Raises Unavailable."""
        shards = self.driver.shards
        for _ in ("this round", "the next round"):
            while self._shard_rotation:
                shard_id = self._shard_rotation.pop()
                if shards.accepts_starts(shard_id):
                    return self.clock.new_saga_id(shard_id, SHARD_COUNT)
            self._shard_rotation = list(shards)
        raise Unavailable("this node owns no shard yet")


def _resolve_with_current(active: ActiveSaga, reached: asyncio.Future[Saga]) -> None:
    if not reached.done():
        reached.set_result(active.saga)
