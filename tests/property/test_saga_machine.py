"""Any saga, any answers, any crash: the promises hold at every moment, and all comes to rest.

The participants of the model know what really happened; the orchestrator only ever hears what they
say. `promises.broken` compares the two.
"""

from __future__ import annotations

from datetime import timedelta

from hypothesis import note, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from saga_orchestrator.fsm.command import wake_up
from saga_orchestrator.fsm.decide import allowed_actions
from saga_orchestrator.fsm.definition import Definition
from saga_orchestrator.fsm.errors import NotCompensatable
from saga_orchestrator.fsm.happening import CompensationAsked, StartRequested, TimePassed
from saga_orchestrator.fsm.testing import strategies as some
from saga_orchestrator.fsm.testing.given import NOON, SAGA_ID
from saga_orchestrator.fsm.testing.participants_model import Fate, ParticipantsModel
from saga_orchestrator.fsm.testing.process import Process
from saga_orchestrator.fsm.testing.promises import broken

TURNS_TO_REST = 40  # two for each call, both ways, of five steps, and some
LATER = st.sampled_from([timedelta(), timedelta(milliseconds=300), timedelta(seconds=4)])


class SagaMachine(RuleBasedStateMachine):
    process: Process

    @initialize(definition=some.definitions(), put_off=st.booleans())
    def saga_starts(self, definition: Definition, put_off: bool) -> None:
        note(definition.source.decode())
        self.now, self.participants = NOON, ParticipantsModel()
        start_at = NOON + timedelta(seconds=2) if put_off else None
        request = StartRequested(entity_id="order-1", input=some.INPUT, start_at=start_at)
        self.process = Process(definition, SAGA_ID, request, now=self.now)

    @precondition(lambda self: self.process.sent)
    @rule()
    def participant_does_it(self) -> None:
        self.participant_answers(Fate.DONE, timedelta(), 0.5)

    @precondition(lambda self: self.process.sent)
    @rule(fate=some.fates, takes=LATER, jitter=some.jitters)
    def participant_answers(self, fate: Fate, takes: timedelta, jitter: float) -> None:
        self.now += takes
        sent = self.process.sent[0]
        verdict = self.participants.answer(sent.call, fate)
        self.process.receive(sent, verdict, now=self.now, jitter=jitter)

    @precondition(lambda self: wake_up(self.process.saga) is not None)
    @rule()
    def the_wake_up_comes(self) -> None:
        self.now = max(self.now, wake_up(self.process.saga) or self.now)
        self.process.happen(TimePassed(), now=self.now)

    @rule(takes=LATER)
    def time_passes(self, takes: timedelta) -> None:
        self.now += takes
        self.process.happen(TimePassed(), now=self.now)

    @rule(arrived=st.booleans())
    def process_crashes(self, arrived: bool) -> None:
        for sent in self.process.sent:
            self.participants.crash_during(sent.call, arrived=arrived)
        self.process.crash()

    @rule()
    def somebody_asks_for_compensation(self) -> None:
        allowed = allowed_actions(self.process.saga)
        before = self.process.saga.state.version
        try:
            self.process.happen(CompensationAsked(reason="changed my mind"), now=self.now)
            assert allowed or self.process.saga.state.version == before
        except NotCompensatable:
            assert not allowed

    @precondition(lambda self: self.process.saga.state.status.rests)
    @rule()
    def saga_rests(self) -> None:
        assert not self.process.sent
        assert wake_up(self.process.saga) is None

    @invariant()
    def all_promises_are_kept(self) -> None:
        if hasattr(self, "process"):
            assert broken(self.process, self.participants) == []

    def teardown(self) -> None:
        """Faults stop: now everything rests soon, and the log tells each moment of it."""
        if not hasattr(self, "process"):
            return
        for _ in range(TURNS_TO_REST):
            if self.process.sent:
                self.participant_does_it()
            elif wake_up(self.process.saga) is not None:
                self.the_wake_up_comes()
            self.all_promises_are_kept()
        assert self.process.saga.state.status.rests
        for version, state in self.process.seen.items():
            assert self.process.replayed(version).state == state


TestSagaMachine = SagaMachine.TestCase
TestSagaMachine.settings = settings(
    max_examples=3 * settings().max_examples, stateful_step_count=30
)
