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
from ..state import apply_event, apply_unrecorded, draft_of, record_unrecorded
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
# The number of the call that is to be made. A question is about the attempt before it.
ATTEMPT_BY_DIRECTION: Mapping[Direction, Callable[[StepState], int]] = {
    Direction.ACTION: attrgetter("next_attempt"),
    Direction.STATUS: attrgetter("attempts"),
    Direction.COMPENSATION: attrgetter("next_compensation_attempt"),
}


class DecisionBuilder:
    """`held` are participants to which nothing is sent forward now, with why and for how long."""

    def __init__(
        self,
        saga: Saga,
        now: datetime,
        jitter: float = 0.0,
        held: Mapping[str, OpenCircuit] = NO_OPEN_CIRCUITS,
    ) -> None:
        earliest = saga.state.updated_at  # whatever a clock says that was set back
        self.now = now if now > earliest else earliest
        self.saga, self.jitter, self.held = saga, jitter, held
        self.lacking: frozenset[str] = frozenset()  # outputs that keep a request from being made
        self.has_draft = False  # the saga, which then grows with each event
        self.events: list[Event] = []
        self.calls: list[CallParticipant] = []
        self.children: list[ChildInstruction] = []

    def record(self, event: Event) -> None:
        if not self.has_draft:
            self._make_draft()
        if self.saga.state.unrecorded:
            self.record_unrecorded()
        apply_event(self.saga.state, event, self.now)
        self.events.append(event)

    def record_call_result(self, fact: StepFact) -> None:
        """Record the answer to a call, unless it repeats what the log has.

        An answer that uses no attempt up is recorded the first time and then at each power of two,
        or once something else of the saga is recorded. Until then this process alone knows of it.
        """
        if not is_repetition(fact):
            self.record(fact)
            return
        news = must_be_recorded(self.saga.state.step(fact.step), fact)
        self.apply_unrecorded(fact)
        if news:
            self.record_unrecorded()

    def apply_unrecorded(self, event: StepFact) -> None:
        if not self.has_draft:
            self._make_draft()
        apply_unrecorded(self.saga.state, event, self.now)

    def record_unrecorded(self) -> None:
        if not self.has_draft:
            self._make_draft()
        self.events += record_unrecorded(self.saga.state, self.now)

    def _make_draft(self) -> None:
        self.saga, self.has_draft = Saga(self.saga.definition, draft_of(self.saga.state)), True

    def begin_step(self, step: Step) -> None:
        """Whatever the step does, from its beginning."""
        if step.action is not None:
            self.call(step, Direction.ACTION)
        elif step.sleep is not None:
            self.record(WaitStarted(step=step.name, until=self.now + step.sleep))
        elif step.wait_for is not None:
            self.await_signal(step)
        else:
            self._start_child(step)

    def await_signal(self, step: Step) -> None:
        assert step.wait_for is not None
        until = self.now + step.wait_for.timeout
        self.record(WaitStarted(step=step.name, until=until, signal=step.wait_for.signal))

    def call(self, step: Step, direction: Direction) -> None:
        """Record the intent and keep the call; park if its request cannot be made."""
        state = self.saga.state.steps.get(step.name, UNTOUCHED)
        attempt = ATTEMPT_BY_DIRECTION[direction](state)
        if step.child is not None:
            self.record(CompensationCalled(step=step.name, attempt=attempt))
            self.children.append(build_child_compensation(self.saga, step))
            return
        # Only sagas whose input nobody looked at can have sent null for what was absent.
        again = not self.saga.state.input_checked and _may_have_arrived(state, direction)
        make = rebuild_call if again else build_call
        try:
            call = make(self.saga, step, direction, attempt)
        except ExpressionError as error:
            undoes = direction is Direction.COMPENSATION
            if self.saga.state.status is SagaStatus.COMPENSATING and not undoes:
                return  # a question that cannot be asked; without an answer the step is unknown
            what = f"the {direction} of {step.name} cannot be called: {error}"
            unmade = explain_unbuildable(self.saga, call_of(step, direction).templates, what)
            self.park_for(unmade, undoes=undoes)
            return
        if self.held and self._circuit_is_open(step, direction, state):
            self._defer(step, attempt, state)
            return
        intent = INTENT_BY_DIRECTION[direction](step=step.name, attempt=attempt)
        if state.status in REPEATED_CALLS and self._is_recorded(step, direction, attempt):
            self.apply_unrecorded(intent)
        else:
            self.record(intent)
        self.calls.append(call)

    def _is_recorded(self, step: Step, direction: Direction, attempt: int) -> bool:
        """Whether the log says that this very call is out.

        A question changes nothing: it is enough if the log says that it was asked before.
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
        return forward and step.participant in self.held and state.status in MAY_BE_DEFERRED

    def _defer(self, step: Step, attempt: int, state: StepState) -> None:
        """Nothing is sent, so no call is recorded."""
        times = state.repetitions + 1
        hold = self.held[step.participant]
        self.record_call_result(
            StepBackedOff(
                step=step.name,
                attempt=attempt,
                outcome=Outcome.CIRCUIT_OPEN,
                error=hold.reason,
                until=self.time_after(step.retry.repetition_delay(hold.retry_in, times)),
                times=times,
            )
        )

    def start_compensation(self, event: CompensationStarted) -> None:
        """Nothing goes forward any more; children that are under way are called back."""
        self.record(event)
        self.instruct_children()

    def instruct_children(self) -> None:
        """Derive what the children under way are to do from the saga as it is now."""
        self.children = child_instructions(self.saga)

    def call_for_output(self, step: Step) -> None:
        """Repeat the call of a done step whose output is missing; one that is polled is asked."""
        polled = step.completion is Completion.POLL
        self.call(step, Direction.STATUS if polled else Direction.ACTION)

    def park(self, why: str, without_output: tuple[str, ...] = ()) -> None:
        """As soon as all that is out is answered: a saga at rest awaits nothing."""
        if not self.saga.has_call_in_flight:
            not_done = self.saga.not_done
            self.record(SagaParked(reason=why, not_done=not_done, without_output=without_output))

    def park_compensation(self, why: str, without_output: tuple[str, ...] = ()) -> None:
        not_undone = self.saga.not_undone
        self.record(SagaParked(reason=why, not_undone=not_undone, without_output=without_output))

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
        """Its clock stands still while it is paused: all its times are put off afterwards."""
        return self.saga.state.paused_at or self.now

    def time_after(self, wait: timedelta) -> datetime:
        return self.saga_time + wait


def _may_have_arrived(state: StepState, direction: Direction) -> bool:
    """Whether a participant may have acted on this very request before."""
    if direction is Direction.COMPENSATION:
        return state.compensation_attempts > 0
    return state.attempts > 0 and (state.may_have_happened or state.status is StepStatus.SUCCEEDED)


class Decision(Struct, frozen=True):
    """Append `events`; once they are committed the saga is `saga`, and the rest may leave.

    Without events the saga may be another one all the same, as this process alone knows it.
    """

    events: tuple[Event, ...]
    saga: Saga
    calls: tuple[CallParticipant, ...]
    children: tuple[ChildInstruction, ...] = ()
