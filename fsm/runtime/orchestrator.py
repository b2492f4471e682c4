"""What the service can be asked, in the words of sagas; the HTTP interface is made of this.

Any node answers for any saga: what another one drives is read from the log, and what is to happen
to it goes there by post.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial

from msgspec.structs import replace

from ...eventstore import SHARDS, EventLog, StreamId
from ..decide import allowed_actions, deadline_of
from ..definition import Definition
from ..family import demand_free, driven_verbs
from ..happening import CompensationAsked, StartRequested, StepReported, Verb
from ..input_check import check_input
from ..saga import Saga
from ..undo_plan import UndoPlan, plan_undo
from .clock import Clock
from .driver import Driver
from .errors import (
    IdempotencyKeyReused,
    InDoubt,
    NotDrivenHere,
    NotServing,
    SagaNotFound,
    VersionNotReached,
)
from .journal import Entry, Journal
from .live import Condition, Live, rests
from .local import Local, serving
from .message import Ask, Begin
from .post import Post
from .registry import Registry
from .shared_alarm import SharedAlarm
from .within import Within

FIRST_LOOK_SECONDS, LAST_LOOK_SECONDS = 0.05, 0.5  # between looks at a saga of another node
STALLED = timedelta(seconds=2)  # a log that waits longer for the database is in trouble
RECORDED_WITHIN = timedelta(seconds=20)  # or whoever asks is told that it is in doubt
UNANSWERED = "the log has not said yet whether it is recorded"


@dataclass(frozen=True, slots=True)
class StartKey:
    """A client's idempotency key, and the digest of what it is used for.

    A key that was recorded with a digest of before is compared with `earlier_digest`.
    """

    key: str
    digest: bytes
    earlier_digest: Callable[[], bytes] | None = field(default=None, compare=False)

    def is_of(self, recorded: bytes) -> bool:
        """True if the recorded digest is that of the same request."""
        if recorded == self.digest:
            return True
        return self.earlier_digest is not None and recorded == self.earlier_digest()


@dataclass(frozen=True, slots=True)
class Started:
    """`replayed`: the key had started it before."""

    saga: Saga
    replayed: bool


class Orchestrator:
    def __init__(
        self,
        log: EventLog,
        registry: Registry,
        journal: Journal,
        driver: Driver,
        clock: Clock,
        post: Post | None = None,
    ) -> None:
        """Without a `post` there are no other nodes."""
        self.log, self.registry, self.journal = log, registry, journal
        self.driver, self.clock, self.post = driver, clock, post
        self.local = Local(journal, driver)
        self._loop = asyncio.get_running_loop()
        self._recording = Within(RECORDED_WITHIN)
        # By how long is waited: clients ask for whole seconds, and not for many.
        self._alarms: dict[timedelta, SharedAlarm] = {}
        self._turns: list[int] = []  # of shards, until each has had one

    async def start(
        self,
        saga_type: str,
        request: StartRequested,
        *,
        version: int | None = None,
        key: StartKey | None = None,
    ) -> Started:
        """Durable when it returns. Nothing is recorded if it raises what the core refuses.

        Raises DefinitionNotFound, InvalidInput, IdempotencyKeyReused, NotServing, InDoubt.
        """
        self._refuse_behind_a_stalled_log()
        try:
            with self._recording:
                definition = self.registry.remembered(saga_type, version)
                if definition is None:
                    definition = await self.definition(saga_type, version)
                check_input(definition, request.input)
                if key is not None:
                    return await self._start_once(definition, request, key)
                return await self._start_anywhere(definition, request)
        except TimeoutError:
            raise InDoubt(UNANSWERED) from None

    async def started_before(self, key: StartKey) -> Started | None:
        """Return the saga that this key has started, whatever would be said of its start today.

        Raises IdempotencyKeyReused, NotServing.
        """
        with serving():
            claim = await self.log.find_key(key.key)
        if claim is None:
            return None
        if not key.is_of(claim.digest):
            raise IdempotencyKeyReused(key.key)
        try:
            return Started(await self.saga(claim.stream_id), replayed=True)
        except SagaNotFound:  # it died before it recorded anything, and is checked like a new one
            return None

    def rested(self, saga: Saga, within: timedelta) -> Awaitable[Saga]:
        """The saga once it rests, or as it is when the time is over."""
        return self._wait(saga, rests, within)

    async def saga(self, saga_id: str) -> Saga:
        """As of now. Raises SagaNotFound."""
        return await self.local.saga(saga_id)

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

    async def entries(self, saga_id: str, *, after: int, limit: int) -> tuple[list[Entry], bool]:
        """A page of the audit trail of one saga, in order, and whether there may be more. Raises
        SagaNotFound."""
        with serving():
            return await self.journal.page(saga_id, after=after, limit=limit)

    async def ask(self, saga_id: str, verb: Verb, *, expected_version: int | None = None) -> Saga:
        """What a person asks of a saga; it is recorded when this returns.

        Raises SagaNotFound, NotAllowed, NoSuchStep, VersionMoved, NotServing, InDoubt.
        """
        return await self._happen(saga_id, verb, expected_version)

    async def report(self, saga_id: str, report: StepReported) -> Saga:
        """What a participant says of a step that it had accepted. Raises as `ask` does."""
        return await self._happen(saga_id, report)

    async def _happen(
        self, saga_id: str, happening: Verb | StepReported, expected_version: int | None = None
    ) -> Saga:
        self._refuse_behind_a_stalled_log()
        try:
            with self._recording:
                return await self.local.happen(saga_id, happening, expected_version)
        except TimeoutError:
            raise InDoubt(UNANSWERED) from None
        except NotDrivenHere:
            if self.post is None:
                raise
        await self.saga(saga_id)  # one that does not exist is nobody's to answer for
        question = Ask(saga_id=saga_id, happening=happening, expected_version=expected_version)
        await self.post.ask(question)
        return await self.saga(saga_id)

    async def undo_plan(self, saga_id: str) -> UndoPlan:
        """What `compensate` would send. Raises SagaNotFound, NotCompensatable, DrivenByParent."""
        saga = await self.saga(saga_id)
        if saga.state.parent is not None:
            parent = await self.saga(saga.state.parent.saga_id)
            demand_free(saga, parent, CompensationAsked())
        return plan_undo(saga, now=self.clock.now())

    async def allowed_actions(self, saga: Saga) -> list[str]:
        """Return the verbs that can be asked of it now, also as a child of another saga."""
        allowed = allowed_actions(saga)
        if saga.state.parent is None or not allowed:
            return list(allowed)
        driven = driven_verbs(saga, await self.saga(saga.state.parent.saga_id))
        return [one for one in allowed if one not in driven]

    async def register(self, definition: Definition) -> bool:
        """Whether it is new. Raises InvalidDefinition, DefinitionExists."""
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

    def _refuse_behind_a_stalled_log(self) -> None:
        """What would only wait, and perhaps be in doubt in the end, is a plain no."""
        stalled = self.log.stalled_for
        if stalled is not None and stalled > STALLED:
            raise NotServing(f"the log has not answered for {stalled.total_seconds():.0f} s")

    async def _start_anywhere(self, definition: Definition, request: StartRequested) -> Started:
        while True:
            try:
                live = await self.driver.start(definition, self._new_id(), request)
                return Started(live.saga, replayed=False)
            except NotDrivenHere:
                continue  # the next one goes to another shard

    async def _start_once(
        self, definition: Definition, request: StartRequested, key: StartKey
    ) -> Started:
        with serving():
            claim = await self.log.claim_key(
                key.key,
                digest=key.digest,
                stream_id=StreamId(self._new_id()),
                claimed_at=self.clock.now(),
            )
        if not key.is_of(claim.digest):
            raise IdempotencyKeyReused(key.key)
        begin = Begin(
            saga_id=claim.stream_id,
            saga_type=definition.name,
            version=definition.version,
            request=request,
        )
        return await self._begin(begin, definition)

    async def _begin(self, begin: Begin, definition: Definition) -> Started:
        """A key may be claimed by a start that then died before it recorded anything."""
        try:
            saga, replayed = await self.local.begin(begin)
            return Started(saga, replayed)
        except NotDrivenHere:
            if self.post is None:
                raise
        deadline = deadline_of(definition, begin.request, self.clock.now())
        done = await self.post.ask(
            replace(begin, request=replace(begin.request, deadline=deadline))
        )
        return Started(await self.saga(begin.saga_id), done.replayed)

    async def _wait(self, saga: Saga, condition: Condition, within: timedelta) -> Saga:
        """Not longer than this node serves."""
        driver, saga_id, alarm = self.driver, saga.state.saga_id, self._alarm_of(within)
        pause, end = FIRST_LOOK_SECONDS, self._loop.time() + within.total_seconds()
        while not condition(saga) and (left := end - self._loop.time()) > 0:
            if driver.drives(saga_id):
                saga = await self._watch(saga_id, condition, alarm)
                if driver.drives(saga_id):
                    break
            else:
                await driver.pause(min(pause, left))
                pause = min(2 * pause, LAST_LOOK_SECONDS)
                saga, alarm = await self.saga(saga_id), SharedAlarm(end - self._loop.time())
                if driver.stopping:
                    break
        return saga

    def _alarm_of(self, within: timedelta) -> SharedAlarm:
        alarm = self._alarms.get(within)
        if alarm is None:
            alarm = self._alarms[within] = SharedAlarm(within.total_seconds())
        return alarm

    async def _watch(self, saga_id: str, condition: Condition, alarm: SharedAlarm) -> Saga:
        """As far as it comes here: it may move to another node."""
        live, reached = await self.driver.watch(saga_id, condition)
        if self.driver.stopping:  # who was waiting has been released, and nobody would be again
            return live.saga
        alarm.set(reached, partial(_wait_no_longer, live, reached))
        try:
            return await reached
        finally:
            alarm.clear(reached)
            self.driver.leave(live)

    def _new_id(self) -> str:
        """In one of the shards that this node drives, each in turn. Raises NotServing."""
        driver = self.driver
        for _ in ("this round", "the next one"):
            while self._turns:
                shard_id = self._turns.pop()
                is_left = shard_id in driver.retiring or shard_id in driver.fenced
                if shard_id in driver.epochs and not is_left:
                    return self.clock.new_saga_id(shard_id, SHARDS)
            self._turns = list(driver.epochs)
        raise NotServing("this node owns no shard yet")


def _wait_no_longer(live: Live, reached: asyncio.Future[Saga]) -> None:
    if not reached.done():
        reached.set_result(live.saga)
