"""A decision, and its builder: the saga as it will be, the events that lead there, what to send."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from operator import attrgetter

from msgspec import Struct

from ..call_outcome import Direction, OpenCircuit, Outcome
from ..definitions.definition import Completion, Step
from ..events import (
    CompensationCalled,
    CompensationStarted,
    Event,
    SagaParked,
    StatusQueried,
    StepBackedOff,
    StepCalled,
    StepFact,
    WaitStarted,
)
from ..expressions.expression import ExpressionError
from ..instructions import (
    CallParticipant,
    ChildInstruction,
    build_call,
    build_child_compensation,
    build_child_start,
    call_of,
    child_id_of,
    child_instructions,
    pending_call,
    rebuild_call,
)
from ..machines import SagaStatus, StepStatus
from ..saga import Saga
from ..state import apply_unrecorded, evolve, record_unrecorded
from ..step_state import UNTOUCHED, StepState, is_repetition, must_be_recorded
from .missing_outputs import UnbuildableCall, explain_unbuildable

NO_OPEN_CIRCUITS: Mapping[str, OpenCircuit] = {}
MAY_BE_DEFERRED = (StepStatus.PENDING, StepStatus.BACKING_OFF)
REPEATED_CALLS = (StepStatus.BACKING_OFF, StepStatus.WAITING, StepStatus.COMPENSATION_BACKING_OFF)
INTENT_BY_DIRECTION: Mapping[Direction, type[StepCalled | StatusQueried | CompensationCalled]] = {
    Direction.ACTION: StepCalled,
    Direction.STATUS: StatusQueried,
    Direction.COMPENSATION: CompensationCalled,
}
# The attempt that a call has. A status query is about the latest one.
ATTEMPT_BY_DIRECTION: Mapping[Direction, Callable[[StepState], int]] = {
    Direction.ACTION: attrgetter("next_attempt"),
    Direction.STATUS: attrgetter("attempts"),
    Direction.COMPENSATION: attrgetter("next_compensation_attempt"),
}


class DecisionBuilder:
    """Collects the events, calls and instructions of one decision.

    No action is sent to the participants in `open_circuits`.
    """

    def __init__(
        self,
        saga: Saga,
        now: datetime,
        jitter: float = 0.0,
        open_circuits: Mapping[str, OpenCircuit] = NO_OPEN_CIRCUITS,
    ) -> None:
        earliest = saga.state.updated_at  # also if the clock was set back
        self.now = now if now > earliest else earliest
        self.saga, self.jitter, self.open_circuits = saga, jitter, open_circuits
        self.lacking: frozenset[str] = frozenset()  # steps whose output a request lacks
        self.events: list[Event] = []
        self.calls: list[CallParticipant] = []
        self.children: list[ChildInstruction] = []

    def build(self) -> Decision:
        """Return the decision. If it has events, unrecorded ones are among them."""
        if self.events and self.saga.state.unrecorded:
            self.record_unrecorded()
        return Decision(tuple(self.events), self.saga, tuple(self.calls), tuple(self.children))

    def record(self, event: Event) -> None:
        """Apply `event` to the saga, and record it with the decision."""
        if self.saga.state.unrecorded:
            self.record_unrecorded()
        self.saga = Saga(self.saga.definition, evolve(self.saga.state, event, self.now))
        self.events.append(event)

    def record_call_result(self, fact: StepFact) -> None:
        """Record the result of a call, unless it repeats one without news.

        A result that does not consume an attempt is recorded the first time and then at each power
        of two, or with the next event of the saga. Until then this process alone knows it.
        """
        if not is_repetition(fact):
            self.record(fact)
            return
        news = must_be_recorded(self.saga.state.step(fact.step), fact)
        self.apply_unrecorded(fact)
        if news:
            self.record_unrecorded()

    def apply_unrecorded(self, event: StepFact) -> None:
        """Apply `event` to the saga without recording it now."""
        self.saga = Saga(self.saga.definition, apply_unrecorded(self.saga.state, event, self.now))

    def record_unrecorded(self) -> None:
        """Record the events that were applied and not recorded."""
        state, events = record_unrecorded(self.saga.state, self.now)
        self.saga = Saga(self.saga.definition, state)
        self.events += events

    def begin_step(self, step: Step) -> None:
        """Begin the step: call, sleep, wait for a signal, or start the child saga."""
        if step.action is not None:
            self.call(step, Direction.ACTION)
        elif step.sleep is not None:
            self.record(WaitStarted(step=step.name, until=self.now + step.sleep))
        elif step.wait_for is not None:
            self.await_signal(step)
        else:
            self._start_child(step)

    def await_signal(self, step: Step) -> None:
        """Begin to wait for the signal of the step."""
        assert step.wait_for is not None
        until = self.now + step.wait_for.timeout
        self.record(WaitStarted(step=step.name, until=until, signal=step.wait_for.signal))

    def call(self, step: Step, direction: Direction) -> None:
        """Record the intent to call; park if the request cannot be built."""
        state = self.saga.state.steps.get(step.name, UNTOUCHED)
        attempt = ATTEMPT_BY_DIRECTION[direction](state)
        if step.child is not None:
            self.record(CompensationCalled(step=step.name, attempt=attempt))
            self.children.append(build_child_compensation(self.saga, step))
            return
        # Only sagas whose input was not checked can have sent null for absent values.
        again = not self.saga.state.input_checked and _may_have_arrived(state, direction)
        make = rebuild_call if again else build_call
        try:
            call = make(self.saga, step, direction, attempt)
        except ExpressionError as error:
            undoes = direction is Direction.COMPENSATION
            if self.saga.state.status is SagaStatus.COMPENSATING and not undoes:
                return  # a status query that cannot be built; without a reply the step is unknown
            what = f"the {direction} of {step.name} cannot be called: {error}"
            unmade = explain_unbuildable(self.saga, call_of(step, direction).templates, what)
            self.park_for(unmade, undoes=undoes)
            return
        if self.open_circuits and self._circuit_is_open(step, direction, state):
            self._defer(step, attempt, state)
            return
        intent = INTENT_BY_DIRECTION[direction](step=step.name, attempt=attempt)
        if state.status in REPEATED_CALLS and self._is_recorded(step, direction, attempt):
            self.apply_unrecorded(intent)
        else:
            self.record(intent)
        self.calls.append(call)

    def _is_recorded(self, step: Step, direction: Direction, attempt: int) -> bool:
        """True if the log has this call in flight.

        A status query has no effect: it suffices that the log has one of the same attempt.
        """
        state = self.saga.state
        kept = state.unrecorded.get(step.name)
        logged = state.step(step.name) if kept is None else kept.recorded
        if direction is Direction.STATUS:
            return logged.last_queried_attempt == attempt
        undoes = direction is Direction.COMPENSATION
        tried = logged.compensation_attempts if undoes else logged.attempts
        return pending_call(logged) is direction and tried == attempt

    def _circuit_is_open(self, step: Step, direction: Direction, state: StepState) -> bool:
        forward = direction is not Direction.COMPENSATION
        return (
            forward and step.participant in self.open_circuits and state.status in MAY_BE_DEFERRED
        )

    def _defer(self, step: Step, attempt: int, state: StepState) -> None:
        """Back off without a call: nothing is sent to the participant now."""
        times = state.repetitions + 1
        circuit = self.open_circuits[step.participant]
        self.record_call_result(
            StepBackedOff(
                step=step.name,
                attempt=attempt,
                outcome=Outcome.CIRCUIT_OPEN,
                error=circuit.reason,
                until=self.time_after(step.retry.repetition_delay(circuit.retry_in, times)),
                times=times,
            )
        )

    def start_compensation(self, event: CompensationStarted) -> None:
        """Begin to compensate; active child sagas are compensated too."""
        self.record(event)
        self.instruct_children()

    def instruct_children(self) -> None:
        """Derive the instructions for active child sagas from the present state."""
        self.children = child_instructions(self.saga)

    def call_for_output(self, step: Step) -> None:
        """Repeat the call of a done step for its missing output; query one that is polled."""
        polled = step.completion is Completion.POLL
        self.call(step, Direction.STATUS if polled else Direction.ACTION)

    def park(self, reason: str, without_output: tuple[str, ...] = ()) -> None:
        """Park once no call is in flight."""
        if not self.saga.has_call_in_flight:
            not_done = self.saga.not_done
            self.record(SagaParked(reason=reason, not_done=not_done, without_output=without_output))

    def park_compensation(self, reason: str, without_output: tuple[str, ...] = ()) -> None:
        not_undone = self.saga.not_undone
        self.record(SagaParked(reason=reason, not_undone=not_undone, without_output=without_output))

    def park_for(self, unmade: UnbuildableCall, *, undoes: bool = False) -> None:
        self.lacking = unmade.insufficient
        park = self.park_compensation if undoes else self.park
        park(unmade.reason, unmade.without_output)

    def _start_child(self, step: Step) -> None:
        assert step.child is not None
        try:
            child = build_child_start(self.saga, step)
        except ExpressionError as error:
            what = f"the child saga {step.name} cannot be started: {error}"
            given = [] if step.child.input is None else [step.child.input]
            self.park_for(explain_unbuildable(self.saga, given, what))
            return
        child_id = child_id_of(self.saga.state.saga_id, step.name)
        self.record(WaitStarted(step=step.name, child_id=child_id))
        self.children.append(child)

    @property
    def saga_time(self) -> datetime:
        """Return the time on the clock of the saga, which is stopped while the saga is paused."""
        return self.saga.state.paused_at or self.now

    def time_after(self, wait: timedelta) -> datetime:
        return self.saga_time + wait


def _may_have_arrived(state: StepState, direction: Direction) -> bool:
    """True if the participant may have executed this request before."""
    if direction is Direction.COMPENSATION:
        return state.compensation_attempts > 0
    return state.attempts > 0 and (state.may_have_happened or state.status is StepStatus.SUCCEEDED)


class Decision(Struct, frozen=True, gc=False):
    """The events to append, and what follows once they are committed: the saga is `saga`, and
    `calls` may be sent.

    Without events `saga` may differ all the same, by what is not recorded.
    """

    events: tuple[Event, ...]
    saga: Saga
    calls: tuple[CallParticipant, ...]
    children: tuple[ChildInstruction, ...] = ()
