"""A service that dies at points drawn from a seed, and is started again on the same log.

It can die around every commit and during every call. Participants keep the contract, and what they
answer is drawn too. Nothing here reads a clock or waits, so a seed tells one and the same story.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Sequence
from random import Random
from typing import Final

from saga_orchestrator.eventstore.errors import LogUnavailable
from saga_orchestrator.eventstore.event import NewEvent, RecordedEvent, StreamId
from saga_orchestrator.eventstore.memory import InMemoryLog, MemoryStore
from saga_orchestrator.fsm.call_outcome import CallOutcome
from saga_orchestrator.fsm.definitions.definition import Definition
from saga_orchestrator.fsm.errors import NotCompensatable
from saga_orchestrator.fsm.inputs import Compensate, StartSaga
from saga_orchestrator.fsm.instructions import CallParticipant
from saga_orchestrator.fsm.machines import StepStatus
from saga_orchestrator.fsm.runtime.calls.executor import Executor
from saga_orchestrator.fsm.runtime.errors import SagaNotFound, Unavailable
from saga_orchestrator.fsm.runtime.orchestrator import IdempotencyKey
from saga_orchestrator.fsm.testing import (
    ParticipantBehavior,
    ParticipantsModel,
    SimulatedProcess,
    define,
)
from saga_orchestrator.tests.support.history_from_log import process_from_log
from saga_orchestrator.tests.support.in_memory_service import (
    TOKENS,
    FakeClock,
    InMemoryService,
    ScriptedParticipants,
    in_memory_service,
)
from saga_orchestrator.tests.support.virtual_time import advance_to_next_wakeup, await_idle

DEFINITIONS: Final = (
    define("book", "seat", "pay", name="undoable"),
    define("book", "pay pivot attempts=3", "ship", name="pivotal", deadline="10m"),
    define("book continue undo_attempts=2", "seat on_reject", "pay attempts=2", name="stubborn"),
    define("book", "seat after=book", "pay after=book", "ship after=seat,pay", name="graph"),
    define("book", "nap sleep=30m", "pay pivot", "post", "ship after=pay", name="sleepy"),
)
FATES: Final = (*[ParticipantBehavior.DONE] * 12, *ParticipantBehavior)
SAGAS: Final = 10
ANSWERS_AFTER: Final = 4  # turns of the loop, at most


class Mortal:
    """Whether the process is alive, and when the next fault is drawn."""

    def __init__(self, random: Random, deaths: int) -> None:
        self.random, self.deaths_left, self.dead = random, deaths, False

    def may_die(self) -> bool:
        """Draws whether it dies here; who is dead stays dead."""
        if not self.dead and self.deaths_left and self.random.random() < 0.06:
            self.dead = True
            self.deaths_left -= 1
        return self.dead

    def revive(self) -> None:
        self.dead = False


class MortalLog(InMemoryLog):
    """Dies before a commit, or after it and before anybody was told."""

    def __init__(self, store: MemoryStore, life: Mortal) -> None:
        super().__init__(store)
        self.life = life

    async def append(
        self, stream_id: StreamId, expected_version: int, events: Sequence[NewEvent]
    ) -> Sequence[RecordedEvent]:
        if self.life.may_die():
            raise LogUnavailable("died before the commit")
        recorded = await super().append(stream_id, expected_version, events)
        if self.life.may_die():
            raise LogUnavailable("died after the commit")
        return recorded


class ModelExecutor(Executor):
    """Calls participants that know the truth; each saga has its own."""

    def __init__(self, life: Mortal, clock: FakeClock) -> None:
        super().__init__(ScriptedParticipants(), TOKENS, clock, limit=100)
        self.life = life
        self.models: defaultdict[str, ParticipantsModel] = defaultdict(ParticipantsModel)

    async def call(
        self,
        call: CallParticipant,
        definition: Definition,
        epoch: int,
        is_wanted: Callable[[], bool] = lambda: True,
        *,
        in_backlog: bool = False,
    ) -> CallOutcome:
        random, model = self.life.random, self.models[call.saga_id]
        is_wanted()
        for _ in range(random.randrange(ANSWERS_AFTER)):
            await asyncio.sleep(0)
        if self.life.may_die():
            model.crash_during(call, arrived=random.random() < 0.5)
            raise LogUnavailable("died during the call")
        return model.answer(call, random.choice(FATES))


class SimulatedService:
    def __init__(self, seed: int, deaths: int) -> None:
        self.random = Random(seed)
        self.life = Mortal(self.random, deaths)
        self.store = MemoryStore()
        self.executor = ModelExecutor(self.life, FakeClock())
        self.lives = 0
        self.acknowledged: set[str] = set()

    async def tell(self) -> None:
        """From the first start to the moment when every saga rests."""
        service = await self._come_to_life(FakeClock())
        wanted = list(range(SAGAS))
        while wanted or not await self._all_rest(service):
            if self.life.dead:
                service = await self._come_to_life(service.clock)
            if wanted and await self._start(service, wanted[0]):
                wanted.pop(0)
            await self._meddle(service)
            await await_idle(service.driver)
            advance_to_next_wakeup(service)
            await await_idle(service.driver)
        await self._all_rest(service)

    @property
    def sagas(self) -> dict[str, list[RecordedEvent]]:
        streams = self.store.streams.items()
        return {saga_id: events for saga_id, events in streams if events[0].type == "SagaStarted"}

    def process_of(self, saga_id: str) -> SimulatedProcess:
        stream = self.sagas[saga_id]
        definition = next(
            each_definition
            for each_definition in DEFINITIONS
            if each_definition.name.encode() in stream[0].payload
        )
        return process_from_log(definition, stream)

    async def _come_to_life(self, clock: FakeClock) -> InMemoryService:
        self.life.revive()
        self.lives += 1
        service = await in_memory_service(log=MortalLog(self.store, self.life))
        service.clock.time, service.clock.drawn = clock.time, clock.drawn
        for definition in DEFINITIONS:
            await service.registry.register(definition)
        self.executor.clock = service.clock
        service.driver.executor = self.executor
        await self._lose_answers(service)
        await service.recover(await service.unfinished())
        return service

    async def _lose_answers(self, service: InMemoryService) -> None:
        """What was called when the process died may have been answered, and nobody knows."""
        for saga_id in service.sagas:
            saga = await service.orchestrator.saga_as_of(saga_id)
            called = [step.name for step in saga.steps_in(StepStatus.CALLING)]
            self.executor.models[saga_id].uncertain_steps.update(called)

    async def _start(self, service: InMemoryService, number: int) -> bool:
        """Whether it was acknowledged; a client whose start was not asks again, with its key."""
        definition = DEFINITIONS[number % len(DEFINITIONS)]
        request = StartSaga(entity_id=number, input={})
        key = IdempotencyKey(f"start {number}", b"digest")
        try:
            started = await service.orchestrator.start(definition.name, request, key=key)
        except Unavailable:
            return False
        self.acknowledged.add(started.saga.state.saga_id)
        return True

    async def _meddle(self, service: InMemoryService) -> None:
        """Somebody asks for compensation, now and then."""
        if self.sagas and self.random.random() < 0.1:
            saga_id = self.random.choice(sorted(self.sagas))
            try:
                await service.orchestrator.execute(saga_id, Compensate(reason="a whim"))
            except (NotCompensatable, Unavailable, SagaNotFound):
                return

    async def _all_rest(self, service: InMemoryService) -> bool:
        if self.life.dead:
            return False
        sagas = [await service.orchestrator.saga(saga_id) for saga_id in self.sagas]
        return all(saga.state.status.is_at_rest for saga in sagas)
