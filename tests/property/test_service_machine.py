"""Any saga, driven by the real service: intents come first, waits have wake-ups, status is a fold.

The runtime is tested as the rules are in `test_saga_machine.py`. It can fail in every commit, and
its clock may step back.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from contextlib import suppress
from datetime import timedelta
from typing import Any

from hypothesis import note, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from saga_orchestrator.fsm.call_outcome import Direction
from saga_orchestrator.fsm.definitions.definition import Definition
from saga_orchestrator.fsm.errors import NotAllowed, UnknownSignal
from saga_orchestrator.fsm.inputs import (
    Abandon,
    Cancel,
    Compensate,
    OperatorCommand,
    Pause,
    Resume,
    Retry,
    SendSignal,
    StartSaga,
)
from saga_orchestrator.fsm.instructions import CallParticipant, next_wakeup, pending_instructions
from saga_orchestrator.fsm.machines import SagaStatus
from saga_orchestrator.fsm.runtime.driver import MIN_REWAKE_DELAY
from saga_orchestrator.fsm.runtime.errors import Unavailable
from saga_orchestrator.fsm.testing import NOON, ParticipantBehavior, violated_invariants
from saga_orchestrator.fsm.testing import strategies as some
from saga_orchestrator.fsm.testing.checks import call_id, unanswered_calls
from saga_orchestrator.projections.status import status_view
from saga_orchestrator.tests.property.service import Death, SteppedService

DEATHS: list[Death] = ["before the commit", "after the commit"]
VERBS: list[OperatorCommand] = [
    Compensate(),
    Cancel(),
    Retry(),
    Pause(),
    Resume(),
    SendSignal(name="approval"),
    SendSignal(name="payment", key="4711"),
]
STEPS_OF_TIME = st.sampled_from([-10, 0.3, 4]).map(lambda seconds: timedelta(seconds=seconds))


class ServiceMachine(RuleBasedStateMachine):
    service: SteppedService

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()

    def run(self, happening: Coroutine[Any, Any, object] | None = None) -> None:
        self.runner.run(self._run(happening))

    async def _run(self, happening: Coroutine[Any, Any, object] | None) -> None:
        if happening is not None:
            with suppress(NotAllowed, Unavailable, UnknownSignal):
                await happening
        await self.service.settle()

    @initialize(definition=some.definitions(), put_off=st.booleans())
    def service_starts(self, definition: Definition, put_off: bool) -> None:
        note(definition.source.decode())
        start_at = NOON + timedelta(seconds=2) if put_off else None
        self.service = SteppedService(definition)
        request = StartSaga(entity_id=1, input=some.INPUT, start_at=start_at)
        self.run(self.service.start(request))

    @precondition(lambda self: self.service.out)
    @rule()
    def participant_succeeds(self) -> None:
        self.participant_answers(ParticipantBehavior.DONE, 0)

    @precondition(lambda self: self.service.out)
    @rule(behavior=some.behaviors, which=st.integers(0, 4))
    def participant_answers(self, behavior: ParticipantBehavior, which: int) -> None:
        self.service.answer(self.service.out[which % len(self.service.out)], behavior)
        self.run()

    @rule(by=STEPS_OF_TIME)
    def time_passes(self, by: timedelta) -> None:
        self.run(self.service.advance(by))

    @precondition(lambda self: self.service.due is not None)
    @rule()
    def timer_fires(self) -> None:
        self.run(self.reach_the_timer())

    @precondition(lambda self: self.service.due is not None)
    @rule()
    def clock_is_set_back_as_the_timer_fires(self) -> None:
        async def set_back() -> None:
            await self.reach_the_timer()
            self.service.in_memory.clock.time -= timedelta(seconds=4)

        self.run(set_back())

    async def reach_the_timer(self) -> None:
        due, now = self.service.due, self.service.in_memory.clock.now()
        assert due is not None
        await self.service.advance(max(due - now, timedelta()))

    @rule(arrived=st.booleans())
    def process_crashes(self, arrived: bool) -> None:
        self.run(self.service.crash(arrived=arrived))

    @rule(death=st.sampled_from(DEATHS))
    def next_commit_fails(self, death: Death) -> None:
        self.service.log.dies = death

    @rule(verb=st.sampled_from(VERBS))
    def operator_commands(self, verb: OperatorCommand) -> None:
        self.run(self.service.in_memory.orchestrator.execute(self.service.saga_id, verb))

    @rule(sure=st.integers(0, 9))
    def operator_abandons(self, sure: int) -> None:
        if sure == 9:
            self.operator_commands(Abandon(reason="enough"))

    @precondition(lambda self: self.reportable())
    @rule(done=st.booleans(), which=st.integers(0, 4))
    def callback_arrives(self, done: bool, which: int) -> None:
        steps = self.reportable()
        report = self.service.participants.send_callback(steps[which % len(steps)], done=done)
        self.run(self.service.in_memory.orchestrator.complete_step(self.service.saga_id, report))

    def reportable(self) -> list[str]:
        return self.service.participants.callback_candidates(call.call for call in self.service.out)

    @invariant()
    def intents_precede_calls(self) -> None:
        """R1."""
        assert self.service.executor.calls_without_intent == []

    @invariant()
    def pending_calls_are_sent_once(self) -> None:
        """R8: the calls in flight are those that the log calls pending, after a crash too.

        Interrupted calls of a saga that is to be compensated are awaited and not repeated. Calls
        that repeat without news may wait meanwhile. An abandoned saga awaits no answer.
        """
        process, known = self.service.logged_process(), self.service.known.state
        if process.saga.state.status is SagaStatus.ABANDONED:
            return
        out = [call_id(call.call) for call in self.service.out]
        out += [
            (deadline, Direction.ACTION, process.saga.state.step(deadline).attempts)
            for deadline in known.reply_deadlines
        ]
        logged = unanswered_calls(process.history)
        aside = known.unrecorded.keys()
        assert sorted(call for call in out if call[0] not in aside) == sorted(
            call for call in logged if call[0] not in aside
        )
        calls = [
            instruction
            for instruction in pending_instructions(self.service.known)
            if isinstance(instruction, CallParticipant)
        ]
        assert sorted(call_id(call.call) for call in self.service.out) == sorted(
            call_id(call) for call in calls
        )

    @invariant()
    def waiting_sagas_have_a_timer(self) -> None:
        """R8."""
        wanted, due = next_wakeup(self.service.known), self.service.due
        if wanted is None:
            assert due is None
        else:
            assert due is not None
            assert due <= max(wanted, self.service.latest + MIN_REWAKE_DELAY)

    @invariant()
    def status_is_a_fold(self) -> None:
        """R7: the log folds into what was seen live at each version, and a replay makes no call."""
        made = self.service.executor.calls_made
        self.runner.run(self._compare_views())
        assert self.service.executor.calls_made == made

    async def _compare_views(self) -> None:
        seen, self.service.seen = self.service.seen, []
        for saga in seen:
            version = saga.state.version
            folded = await self.service.in_memory.orchestrator.saga_as_of(
                self.service.saga_id, version=version
            )
            assert status_view(folded) == status_view(saga)

    @invariant()
    def all_invariants_hold(self) -> None:
        assert violated_invariants(self.service.logged_process(), self.service.participants) == []

    def teardown(self) -> None:
        """Faults and pauses stop: by its timer alone the saga comes to rest."""
        with self.runner:
            if hasattr(self, "service"):
                self.come_to_rest()

    def come_to_rest(self) -> None:
        self.service.log.dies = None
        self.operator_commands(Resume())
        self.runner.run(self.service.come_to_rest())
        self.all_invariants_hold()
        assert self.service.in_memory.driver.active == {}
        self.runner.run(self.service.in_memory.driver.drain(timedelta()))


TestServiceMachine = ServiceMachine.TestCase
TestServiceMachine.settings = settings(
    max_examples=3 * settings().max_examples, stateful_step_count=25
)
