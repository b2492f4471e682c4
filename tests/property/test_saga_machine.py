"""Any saga, any replies, any crash, any operator: all invariants hold, and the saga comes to rest.

The model of the participants knows what really happened; the orchestrator only gets their replies.
Operators send any command, but their verdicts are true.
"""

from __future__ import annotations

from datetime import timedelta

from hypothesis import note, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from saga_orchestrator.fsm.decider.decide import allowed_actions
from saga_orchestrator.fsm.definitions.definition import Definition
from saga_orchestrator.fsm.errors import NotAllowed, UnknownSignal, WouldParkAgain
from saga_orchestrator.fsm.events import Resolution, SagaParked
from saga_orchestrator.fsm.inputs import (
    Abandon,
    Cancel,
    Compensate,
    OperatorCommand,
    Pause,
    ResolveStep,
    Resume,
    Retry,
    SendSignal,
    SkipStep,
    StartSaga,
    StepCallback,
    TimerFired,
)
from saga_orchestrator.fsm.instructions import next_wakeup
from saga_orchestrator.fsm.machines import StepStatus, accepts_trigger
from saga_orchestrator.fsm.testing import strategies as some
from saga_orchestrator.fsm.testing.checks import violated_invariants
from saga_orchestrator.fsm.testing.participants_model import (
    ParticipantBehavior,
    ParticipantsModel,
)
from saga_orchestrator.fsm.testing.scenario import NOON, SAGA_ID
from saga_orchestrator.fsm.testing.simulated_process import SimulatedProcess
from saga_orchestrator.projections.status import parked_view

MAX_TURNS_TO_REST = 60  # two for each call, both ways, of five steps, and some
LATER = st.sampled_from([timedelta(), timedelta(milliseconds=300), timedelta(seconds=4)])
REASON = "I changed my mind"
OUTPUT = {"id": "7"}
VERBS: dict[str, OperatorCommand] = {
    "compensate": Compensate(reason=REASON),
    "cancel": Cancel(reason=REASON),
    "retry": Retry(),
    "pause": Pause(),
    "resume": Resume(),
}
CHANGES_NOTHING = {"compensate", "cancel", "pause"}  # if it is sent once more


class SagaMachine(RuleBasedStateMachine):
    process: SimulatedProcess

    @initialize(definition=some.definitions(), put_off=st.booleans())
    def saga_starts(self, definition: Definition, put_off: bool) -> None:
        note(definition.source.decode())
        self.now, self.participants = NOON, ParticipantsModel.of(definition)
        start_at = NOON + timedelta(seconds=2) if put_off else None
        request = StartSaga(entity_id="order-1", input=some.INPUT, start_at=start_at)
        self.process = SimulatedProcess(definition, SAGA_ID, request, now=self.now)

    @precondition(lambda self: self.process.in_flight)
    @rule()
    def participant_succeeds(self) -> None:
        self.participant_answers(ParticipantBehavior.DONE, timedelta(), 0.5, 0)

    @precondition(lambda self: self.process.in_flight)
    @rule(behavior=some.behaviors, takes=LATER, jitter=some.jitters, which=st.integers(0, 4))
    def participant_answers(
        self, behavior: ParticipantBehavior, takes: timedelta, jitter: float, which: int
    ) -> None:
        self.now += takes
        sent = self.process.in_flight[which % len(self.process.in_flight)]
        outcome = self.participants.answer(sent.call, behavior)
        version = len(self.process.log)
        self.process.receive(sent, outcome, now=self.now, jitter=jitter)
        kept = self.process.saga.state.unrecorded
        assert len(self.process.log) > version or sent.call.step in kept

    @precondition(lambda self: self.reportable())
    @rule(which=st.integers(0, 4), done=st.booleans())
    def callback_arrives(self, which: int, done: bool) -> None:
        steps = self.reportable()
        self.callback_is_handled(
            self.participants.send_callback(steps[which % len(steps)], done=done)
        )

    @precondition(lambda self: self.participants.callbacks)
    @rule(which=st.integers(0, 4))
    def callback_is_repeated(self, which: int) -> None:
        reports = list(self.participants.callbacks.values())
        self.callback_is_handled(reports[which % len(reports)])

    def reportable(self) -> list[str]:
        return self.participants.callback_candidates(call.call for call in self.process.in_flight)

    def callback_is_handled(self, report: StepCallback) -> None:
        """Every callback is recorded, whatever it changes."""
        version = len(self.process.log)
        self.process.handle(report, now=self.now)
        assert len(self.process.log) > version

    @precondition(lambda self: next_wakeup(self.process.saga) is not None)
    @rule()
    def timer_fires(self) -> None:
        self.now = max(self.now, next_wakeup(self.process.saga) or self.now)
        self.process.handle(TimerFired(), now=self.now)

    @rule(takes=LATER)
    def time_passes(self, takes: timedelta) -> None:
        self.now += takes
        self.process.handle(TimerFired(), now=self.now)

    @rule(arrived=st.booleans())
    def process_crashes(self, arrived: bool) -> None:
        for sent in self.process.in_flight:
            self.participants.crash_during(sent.call, arrived=arrived)
        self.process.crash()
        for sent in self.process.in_flight:  # the log lacks the answers to some
            self.participants.crash_during(sent.call, arrived=False)

    @rule(signal=some.signals, key=st.none() | st.just("4711"))
    def signal_arrives(self, signal: str, key: str | None) -> None:
        before = self.process.saga.state
        sent = SendSignal(name=signal, key=key)
        if signal not in self.process.definition.signals:
            self.operator_commands_a_step("signal", sent)
            assert self.process.saga.state == before
        else:
            self.operator_commands("signal", sent, repeats=key is not None)
        if (signal, key) in before.signal_keys:
            assert self.process.saga.state == before

    @rule(verb=st.sampled_from(list(VERBS)))
    def operator_sends_a_command(self, verb: str) -> None:
        self.operator_commands(verb, VERBS[verb], repeats=verb in CHANGES_NOTHING)

    @precondition(lambda self: self.process.saga.state.parked is not None)
    @rule(which=st.integers(0, 4))
    def operator_retries_a_step(self, which: int) -> None:
        steps = self.process.definition.steps
        self.operator_commands_a_step("retry", Retry(step=steps[which % len(steps)].name))

    @precondition(lambda self: self.without_output())
    @rule(which=st.integers(0, 4))
    def operator_supplies_an_output(self, which: int) -> None:
        steps = self.without_output()
        step, done = steps[which % len(steps)], Resolution.DONE
        asked = ResolveStep(step=step, verdict=done, evidence="seen", output=OUTPUT)
        self.operator_commands_a_step("resolve", asked)

    def without_output(self) -> tuple[str, ...]:
        parked = self.process.saga.state.parked
        return () if parked is None else parked.without_output or ()

    @rule(sure=st.integers(0, 9))
    def operator_abandons(self, sure: int) -> None:
        if sure == 9:
            self.operator_commands("abandon", Abandon(reason=REASON))

    @precondition(lambda self: "skip" in allowed_actions(self.process.saga))
    @rule(which=st.integers(0, 4), sure=st.integers(0, 3))
    def operator_skips(self, which: int, sure: int) -> None:
        pending = self.process.saga.steps_in(StepStatus.PENDING)
        if sure == 3:
            self.operator_commands("skip", SkipStep(step=pending[which % len(pending)].name))

    @precondition(lambda self: "resolve" in allowed_actions(self.process.saga))
    @rule(which=st.integers(0, 9))
    def operator_resolves(self, which: int) -> None:
        if resolutions := self.truthful_verdicts():
            step, resolution = resolutions[which % len(resolutions)]
            self.participants.accepted_steps.discard(step)
            if resolution is Resolution.UNDONE:
                self.participants.undo_by_hand(step)
            asked = ResolveStep(step=step, verdict=resolution, evidence="seen", output=OUTPUT)
            self.operator_commands("resolve", asked)

    def operator_commands_a_step(self, verb: str, asked: OperatorCommand) -> None:
        """Possible for one step, a command may be refused for another; then it changes nothing."""
        allowed = verb in allowed_actions(self.process.saga)
        before = self.process.saga.state
        try:
            self.process.handle(asked, now=self.now)
            assert allowed
        except (NotAllowed, UnknownSignal):
            assert self.process.saga.state == before

    def operator_commands(
        self, verb: str, asked: OperatorCommand, *, repeats: bool = False
    ) -> None:
        """A command is refused, and changes nothing, exactly where it is not offered."""
        allowed = verb in allowed_actions(self.process.saga)
        before = self.process.saga.state
        try:
            self.process.handle(asked, now=self.now)
            assert allowed or (repeats and self.process.saga.state == before)
        except WouldParkAgain:  # a verb that helps for another step, or with an output
            assert self.process.saga.state == before
        except NotAllowed:
            assert not allowed
            assert self.process.saga.state == before

    def truthful_verdicts(self) -> list[tuple[str, Resolution]]:
        """Return the true verdicts about steps; an operator who says undone has undone it."""
        saga = self.process.saga
        back = saga.state.cause is not None
        found = []
        for step, state in saga.steps:
            acted = step.action is None or self.participants.has_done(step.name)
            says = [Resolution.DONE if acted else Resolution.NOT_DONE]
            says += [Resolution.UNDONE] * (back and acted)
            found += [
                (step.name, resolution)
                for resolution in says
                if accepts_trigger(state.status, f"resolve_{resolution}")
                and (state.status, resolution) != (StepStatus.SUCCEEDED, Resolution.DONE)
            ]
        return found

    @precondition(lambda self: self.process.saga.state.status.is_at_rest)
    @rule()
    def saga_rests(self) -> None:
        assert next_wakeup(self.process.saga) is None

    @invariant()
    def all_invariants_hold(self) -> None:
        if hasattr(self, "process"):
            assert violated_invariants(self.process, self.participants) == []

    def teardown(self) -> None:
        """Faults and pauses stop: the saga comes to rest, and its log folds into each moment."""
        if not hasattr(self, "process"):
            return
        if self.process.saga.state.paused_at is not None:
            self.process.handle(Resume(), now=self.now)
        for _ in range(MAX_TURNS_TO_REST):
            if self.process.in_flight:
                self.participant_succeeds()
            elif next_wakeup(self.process.saga) is not None:
                self.timer_fires()
            self.all_invariants_hold()
        assert self.process.saga.state.status.is_at_rest
        for version, state in self.process.states_by_version.items():
            assert self.process.replayed(version).state == state
        for version, event in enumerate(self.process.history, start=1):
            if isinstance(event, SagaParked):
                self.parked_view_matches_its_event(version, event)

    def parked_view_matches_its_event(self, version: int, event: SagaParked) -> None:
        """The lists that are derived from the steps are those of the event."""
        parked = parked_view(self.process.replayed(version))
        assert isinstance(parked, dict)
        assert parked["not_done"] == list(event.not_done)
        assert parked["not_undone"] == list(event.not_undone)


TestSagaMachine = SagaMachine.TestCase
TestSagaMachine.settings = settings(
    max_examples=3 * settings().max_examples, stateful_step_count=30
)
