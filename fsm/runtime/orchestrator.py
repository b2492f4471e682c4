"""What the service can be asked, in the words of sagas; the HTTP interface is made of this."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta

from ...eventstore import (
    SHARDS,
    EventLog,
    LogUnavailable,
    StreamId,
    WrongExpectedVersion,
)
from ..definition import Definition
from ..happening import Happening, StartRequested, StepReported, Verb
from ..input_check import check_input
from ..saga import Saga
from ..undo_plan import UndoPlan, plan_undo
from .clock import Clock
from .driver import Driver
from .errors import IdempotencyKeyReused, NotServing, SagaNotFound, VersionNotReached
from .journal import Entry, Journal
from .live import Condition, rests
from .registry import Registry

SILENT = timedelta(seconds=2)  # a log that takes longer than this to record something is in trouble


@dataclass(frozen=True, slots=True)
class StartKey:
    """A client's idempotency key, and the digest of what it is used for."""

    key: str
    digest: bytes


@dataclass(frozen=True, slots=True)
class Started:
    """`replayed`: the key had started it before."""

    saga: Saga
    replayed: bool


class Orchestrator:
    def __init__(
        self, log: EventLog, registry: Registry, journal: Journal, driver: Driver, clock: Clock
    ) -> None:
        self.log, self.registry, self.journal = log, registry, journal
        self.driver, self.clock = driver, clock
        self._turn = 0

    async def start(
        self,
        saga_type: str,
        request: StartRequested,
        *,
        version: int | None = None,
        key: StartKey | None = None,
    ) -> Started:
        """Durable when it returns. Nothing is recorded if it raises what the core refuses.

        Raises DefinitionNotFound, InvalidInput, IdempotencyKeyReused, NotServing.
        """
        self._refuse_behind_a_silent_log()
        definition = await self.definition(saga_type, version)
        check_input(definition, request.input)
        saga_id = self.clock.new_saga_id(self._next_shard(), SHARDS)
        if key is None:
            live = await self.driver.start(definition, saga_id, request)
            return Started(live.saga, replayed=False)
        return await self._start_once(definition, saga_id, request, key)

    async def rested(self, saga: Saga, within: timedelta) -> Saga:
        """The saga once it rests, or as it is when the time is over."""
        return await self._wait(saga, rests, within)

    async def saga(self, saga_id: str) -> Saga:
        """As of now. Raises SagaNotFound."""
        if live := self.driver.live.get(saga_id):
            return live.saga
        with serving():
            return await self.journal.load(saga_id)

    async def saga_as_of(
        self, saga_id: str, *, version: int | None = None, at: datetime | None = None
    ) -> Saga:
        """Folded from the log. Raises SagaNotFound, VersionNotReached."""
        with serving():
            return await self.journal.load_as_of(saga_id, version=version, at=at)

    async def saga_from(self, saga_id: str, version: int, within: timedelta) -> Saga:
        """The saga once it has reached `version`. Raises SagaNotFound, VersionNotReached."""
        saga = await self.saga(saga_id)
        if saga.state.version < version:
            saga = await self._wait(saga, lambda one: one.state.version >= version, within)
        if saga.state.version < version:
            raise VersionNotReached(saga_id, f"has not reached version {version}")
        return saga

    async def entries(self, saga_id: str, *, after: int, limit: int) -> list[Entry]:
        """The audit trail of one saga, in order. Raises SagaNotFound."""
        with serving():
            return await self.journal.entries(saga_id, after=after, limit=limit)

    async def ask(self, saga_id: str, verb: Verb, *, expected_version: int | None = None) -> Saga:
        """What a person asks of a saga; it is recorded when this returns.

        Raises SagaNotFound, NotAllowed, NoSuchStep, VersionMoved, NotServing.
        """
        return await self._happen(saga_id, verb, expected_version)

    async def report(self, saga_id: str, report: StepReported) -> Saga:
        """What a participant says of a step that it had accepted. Raises as `ask` does."""
        return await self._happen(saga_id, report)

    async def _happen(
        self, saga_id: str, happening: Happening, expected_version: int | None = None
    ) -> Saga:
        with serving():
            async with self.driver.holding(saga_id, patiently=False) as live:
                await self.driver.happen(live, happening, expected_version=expected_version)
                return live.saga

    async def undo_plan(self, saga_id: str) -> UndoPlan:
        """What `compensate` would send. Raises SagaNotFound, NotCompensatable."""
        return plan_undo(await self.saga(saga_id), now=self.clock.now())

    async def register(self, definition: Definition) -> bool:
        """Whether it is new. Raises DefinitionExists."""
        with serving():
            return await self.registry.register(definition)

    async def definition(self, name: str, version: int | None = None) -> Definition:
        """That version, or the newest. Raises DefinitionNotFound."""
        with serving():
            return await self.registry.get(name, version)

    async def definitions(self) -> list[Definition]:
        """All, those of other nodes too, in order of name and version."""
        with serving():
            await self.registry.load()
        return self.registry.known()

    def _refuse_behind_a_silent_log(self) -> None:
        """A start that would only wait, and perhaps be in doubt in the end, is a plain no."""
        stalled = self.log.stalled_for
        if stalled is not None and stalled > SILENT:
            raise NotServing(f"the log has not answered for {stalled.total_seconds():.0f} s")

    async def _start_once(
        self, definition: Definition, saga_id: str, request: StartRequested, key: StartKey
    ) -> Started:
        with serving():
            claim = await self.log.claim_key(
                key.key,
                digest=key.digest,
                stream_id=StreamId(saga_id),
                claimed_at=self.clock.now(),
            )
        if claim.digest != key.digest:
            raise IdempotencyKeyReused(key.key)
        async with self.driver.turn_of(claim.stream_id):
            return await self._start_unless_there(definition, claim.stream_id, request)

    async def _start_unless_there(
        self, definition: Definition, saga_id: str, request: StartRequested
    ) -> Started:
        """A key may be claimed by a start that then died before it recorded anything."""
        try:
            return Started(await self.saga(saga_id), replayed=True)
        except SagaNotFound:
            pass
        try:
            live = await self.driver.start(definition, saga_id, request)
        except WrongExpectedVersion:
            return Started(await self.saga(saga_id), replayed=True)
        return Started(live.saga, replayed=False)

    async def _wait(self, saga: Saga, condition: Condition, within: timedelta) -> Saga:
        if condition(saga):
            return saga
        live, reached = await self.driver.watch(saga.state.saga_id, condition)
        if self.driver.stopping:  # who was waiting has been released, and nobody would be again
            return live.saga
        try:
            async with asyncio.timeout(within.total_seconds()):
                return await reached
        except TimeoutError:
            return live.saga
        finally:
            self.driver.leave(live)

    def _next_shard(self) -> int:
        """Of those that this node owns, in turn."""
        owned = list(self.driver.epochs)
        if not owned:
            raise NotServing("this node owns no shard yet")
        self._turn += 1
        return owned[self._turn % len(owned)]


@contextmanager
def serving() -> Iterator[None]:
    """A log that does not answer is told as such."""
    try:
        yield
    except LogUnavailable as error:
        raise NotServing(str(error)) from error
