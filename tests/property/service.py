"""A service in memory, where a test sets the time, answers the calls, and fails commits.

Rules, driver, timers and recovery are the real ones. The log is in memory, and each commit takes
some turns of the event loop. There is one saga. Its calls are held until a model of the
participants answers them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal

from saga_orchestrator.eventstore.errors import LogUnavailable
from saga_orchestrator.eventstore.event import NewEvent, RecordedEvent, StreamId
from saga_orchestrator.eventstore.memory import InMemoryLog, MemoryStore
from saga_orchestrator.fsm.call_outcome import CallOutcome, Direction
from saga_orchestrator.fsm.codec import decode
from saga_orchestrator.fsm.definitions.definition import Definition
from saga_orchestrator.fsm.events import Event, StatusQueried
from saga_orchestrator.fsm.inputs import StartSaga
from saga_orchestrator.fsm.instructions import CallParticipant
from saga_orchestrator.fsm.runtime.calls.executor import Executor
from saga_orchestrator.fsm.saga import Saga
from saga_orchestrator.fsm.testing import (
    NOON,
    ParticipantBehavior,
    ParticipantsModel,
    SimulatedProcess,
)
from saga_orchestrator.fsm.testing.checks import call_id, unanswered_calls
from saga_orchestrator.tests.support.history_from_log import process_from_log
from saga_orchestrator.tests.support.in_memory_service import (
    TOKENS,
    FakeClock,
    InMemoryService,
    ScriptedParticipants,
    in_memory_service,
)

Death = Literal["before the commit", "after the commit"]
MAX_TURNS_TO_REST: Final = 80
IDLE_LOOP_TURNS: Final = 30  # turns of the loop in which nothing happens


class SlowLog(InMemoryLog):
    """A log whose commits take some turns of the loop, and fail once `dies` is set."""

    def __init__(self, store: MemoryStore, turns: int) -> None:
        super().__init__(store)
        self.turns = turns
        self.dies: Death | None = None
        self.dead = False

    async def append(
        self, stream_id: StreamId, expected_version: int, events: Sequence[NewEvent]
    ) -> Sequence[RecordedEvent]:
        for _ in range(self.turns):
            await asyncio.sleep(0)
        self.dead = self.dead or self.dies is not None
        if self.dies == "before the commit":
            raise LogUnavailable(self.dies)
        recorded = await super().append(stream_id, expected_version, events)
        if self.dies is not None:
            raise LogUnavailable(self.dies)
        return recorded


@dataclass(frozen=True, slots=True)
class OutstandingCall:
    """A call in flight."""

    call: CallParticipant
    answer: asyncio.Future[CallOutcome]


class HeldExecutor(Executor):
    """An executor that holds its calls, and notes those without an intent in the log."""

    def __init__(self, clock: FakeClock, store: MemoryStore) -> None:
        super().__init__(ScriptedParticipants(), TOKENS, clock, limit=100)
        self.store = store
        self.outstanding: list[OutstandingCall] = []
        self.calls_without_intent: list[CallParticipant] = []
        self.calls_made = 0

    async def call(
        self,
        call: CallParticipant,
        definition: Definition,
        epoch: int,
        is_wanted: Callable[[], bool] = lambda: True,
        *,
        in_backlog: bool = False,
    ) -> CallOutcome:
        is_wanted()
        self.calls_made += 1
        recorded = history_of(self.store.streams.get(StreamId(call.saga_id), []))
        asked = StatusQueried(step=call.step, attempt=call.attempt)
        known = call.direction is Direction.STATUS and asked in recorded  # it may query again
        if not known and call_id(call) not in unanswered_calls(recorded):
            self.calls_without_intent.append(call)
        out = OutstandingCall(call, asyncio.get_running_loop().create_future())
        self.outstanding.append(out)
        try:
            return await out.answer
        finally:
            self.outstanding.remove(out)


class SteppedService:
    def __init__(self, definition: Definition, *, commit_takes: int = 2) -> None:
        self.definition, self.commit_takes = definition, commit_takes
        self.participants = ParticipantsModel.of(definition)
        self.store = MemoryStore()
        self.seen: list[Saga] = []
        self.latest = NOON  # reading of the clock

    async def start(self, request: StartSaga) -> None:
        await self._come_to_life(FakeClock())
        started = await self.in_memory.orchestrator.start(self.definition.name, request)
        self.saga_id = started.saga.state.saga_id
        await self.settle()

    @property
    def stream(self) -> list[RecordedEvent]:
        return self.store.streams[StreamId(self.saga_id)]

    @property
    def out(self) -> list[OutstandingCall]:
        return self.executor.outstanding

    @property
    def due(self) -> datetime | None:
        """When the timer of the saga fires."""
        return self.in_memory.driver.timers._due.get(self.saga_id)

    @property
    def known(self) -> Saga:
        """The saga in the memory of its process."""
        live = self.in_memory.driver.active.get(self.saga_id)
        return (
            live.saga
            if live is not None
            else self.in_memory.driver.with_unrecorded(self.logged_process().saga)
        )

    def logged_process(self) -> SimulatedProcess:
        return process_from_log(self.definition, self.stream)

    async def settle(self) -> None:
        """Run until nothing happens without an input; a process that died is started again."""
        idle, before = 0, (-1, -1)
        while idle < IDLE_LOOP_TURNS:
            await asyncio.sleep(0)
            now = (len(self.stream), self.executor.calls_made)
            idle, before = (idle + 1 if now == before else 0), now
        if self.log.dead:
            await self.crash(arrived=True)

    async def come_to_rest(self) -> None:
        """Let every call succeed and every timer fire, until the saga rests."""
        for _ in range(MAX_TURNS_TO_REST):
            if self.logged_process().saga.state.status.is_at_rest:
                return
            if self.out:
                self.answer(self.out[0], ParticipantBehavior.DONE)
            elif self.due is not None:
                await self.advance(max(self.due - self.in_memory.clock.now(), timedelta()))
            await self.settle()
        raise AssertionError(f"still {self.logged_process().saga.state.status}")

    def answer(self, out: OutstandingCall, behavior: ParticipantBehavior) -> None:
        out.answer.set_result(self.participants.answer(out.call, behavior))

    async def crash(self, *, arrived: bool) -> None:
        """Die, and start the next process, which cannot know which calls have left."""
        for out in self.out:
            self.participants.crash_during(out.call, arrived=arrived)
        await self.in_memory.driver.drain(timedelta())
        under_way = unanswered_calls(self.logged_process().history)
        # A call that was recorded may not have left, and is not repeated if the saga goes back.
        self.participants.uncertain_steps |= {
            step for step, direction, _ in under_way if direction is not Direction.COMPENSATION
        }
        await self._come_to_life(self.in_memory.clock)
        await self.in_memory.recover(await self.in_memory.unfinished())
        await self.settle()
        for out in self.out:
            if call_id(out.call) in under_way:
                self.participants.crash_during(out.call, arrived=False)

    async def advance(self, by: timedelta) -> None:
        await self.in_memory.advance(by)
        self.latest = max(self.latest, self.in_memory.clock.now())

    async def _come_to_life(self, clock: FakeClock) -> None:
        self.log = SlowLog(self.store, self.commit_takes)
        self.in_memory: InMemoryService = await in_memory_service(log=self.log)
        self.in_memory.clock.time, self.in_memory.clock.drawn = clock.time, clock.drawn
        await self.in_memory.registry.register(self.definition)
        self.executor = HeldExecutor(self.in_memory.clock, self.store)
        self.in_memory.driver.executor = self.executor
        self.in_memory.driver.observe = lambda saga, recorded: self.seen.append(saga)


def history_of(stream: Sequence[RecordedEvent]) -> list[Event]:
    return [decode(event.type, event.schema_version, event.payload) for event in stream]
