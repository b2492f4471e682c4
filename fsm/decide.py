"""What follows from what happened.

    decide(saga, happening) = the events it makes, then whatever now follows from the state

The first half, `_react`, turns a happening into events. The second asks the state, again and again
until nothing more follows: `_forward` while the saga runs, `_backward` while it compensates. Both
are total: every status of every step has its line. The rules R1 to R9 of the semantics live here.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import assert_never

from .command import CallParticipant, awaited, prepare
from .consequence import of_action, of_compensation, of_status, settled, wait
from .definition import Definition, OnFailure, Step
from .errors import NotCompensatable
from .events import (
    CallbackDelivered,
    Cause,
    CompensationCalled,
    CompensationCovered,
    CompensationRequested,
    CompensationStarted,
    Event,
    SagaCompensated,
    SagaCompleted,
    SagaFellDue,
    SagaParked,
    SagaStarted,
    StatusAsked,
    StepCalled,
    StepFact,
    StepFoundNotDone,
    StepSkipped,
)
from .expression import ExpressionError, is_true
from .happening import (
    CallAnswered,
    CallbackTold,
    CompensationAsked,
    Happening,
    StartRequested,
    TimePassed,
)
from .machines import SagaStatus, StepStatus
from .outcome import Direction, Outcome, OutputLoss
from .saga import DONE, Saga
from .state import StepState, begin

FAILED = {
    StepStatus.REJECTED: "was rejected",
    StepStatus.UNKNOWN: "has an unknown outcome",
    StepStatus.NOT_SENT: "could not be sent",
}
UNDER_UNDO = (StepStatus.COMPENSATING, StepStatus.COMPENSATION_BACKING_OFF)
UNDO_UNFINISHED = (*UNDER_UNDO, StepStatus.COMPENSATION_FAILED)
INTENTS: dict[Direction, type[StepCalled | StatusAsked | CompensationCalled]] = {
    Direction.ACTION: StepCalled,
    Direction.STATUS: StatusAsked,
    Direction.COMPENSATION: CompensationCalled,
}
STOPS = (OutputLoss.TOO_LARGE, OutputLoss.UNMAPPABLE)


@dataclass(frozen=True, slots=True)
class Decision:
    """Append `events`; once they are committed the saga is `saga`, and `calls` leave."""

    events: tuple[Event, ...]
    saga: Saga
    calls: tuple[CallParticipant, ...]


def start(
    definition: Definition, saga_id: str, request: StartRequested, *, now: datetime
) -> Decision:
    """The first events of a saga. The input must have passed `check_input`."""
    put_off = request.start_at is not None and request.start_at > now
    began = SagaStarted(
        saga_type=definition.name,
        definition_version=definition.version,
        entity_id=request.entity_id,
        input=request.input,
        tags=dict(request.tags),
        deadline=_deadline(definition, request, now),
        start_at=request.start_at if put_off else None,
        callback_url=request.callback_url,
        actor=request.actor,
    )
    deciding = _Deciding(Saga(definition, begin(saga_id, began, now)), now)
    deciding.follow()
    return Decision((began, *deciding.events), deciding.saga, tuple(deciding.calls))


def decide(saga: Saga, happening: Happening, *, now: datetime, jitter: float) -> Decision:
    """`jitter` in [0, 1). No events if nothing follows. Raises NotCompensatable."""
    deciding = _Deciding(saga, now)
    match happening:
        case CallAnswered():
            deciding.answered(happening, jitter)
        case TimePassed():
            deciding.time_passed()
        case CompensationAsked():
            deciding.asked_back(happening)
        case CallbackTold(rested_version=rested_version):
            deciding.record(CallbackDelivered(rested_version=rested_version))
        case _:
            assert_never(happening)
    deciding.follow()
    return Decision(tuple(deciding.events), deciding.saga, tuple(deciding.calls))


def allowed_actions(saga: Saga) -> tuple[str, ...]:
    """What a person may ask of the saga now."""
    return () if _why_not_undone(saga) else ("compensate",)


def _deadline(definition: Definition, request: StartRequested, now: datetime) -> datetime | None:
    given = request.deadline if request.deadline is not None else definition.deadline
    if isinstance(given, timedelta):
        return max(request.start_at or now, now) + given
    return given


def _why_not_undone(saga: Saga) -> str | None:
    status = saga.state.status
    if saga.pivot_passed:
        return "a pivot was passed, so it only goes forward"
    if status is SagaStatus.PARKED and saga.state.cause is not None:
        return "it is parked on its way back"
    if status is SagaStatus.PARKED and saga.pivot_in_doubt:
        return "whether its pivot happened is unknown"
    return None


class _Deciding:
    """Of one decision: the saga as it will be, the events that lead there, the calls to make."""

    def __init__(self, saga: Saga, now: datetime) -> None:
        self.saga, self.now = saga, max(now, saga.state.updated_at)
        self.events: list[Event] = []
        self.calls: list[CallParticipant] = []

    def record(self, event: Event) -> None:
        self.saga = self.saga.after(event, self.now)
        self.events.append(event)

    # What happened

    def answered(self, answer: CallAnswered, jitter: float) -> None:
        step, state = self.saga.definition[answer.step], self.saga.state.step(answer.step)
        if awaited(state) is not answer.direction:
            return
        until = self.now + wait(step, answer, jitter)
        next_try = until if self.saga.state.status is SagaStatus.RUNNING else None
        match answer.direction:
            case Direction.ACTION:
                self.record(of_action(step, state, answer, next_try))
            case Direction.STATUS:
                self._told_status(step, of_status(step, state, answer, next_try))
            case Direction.COMPENSATION:
                self.record(of_compensation(step, answer, until))
                if answer.verdict.outcome is Outcome.DONE:
                    self._cover(step)

    def _told_status(self, step: Step, fact: StepFact) -> None:
        """An action that has certainly not happened is tried again at once, if there is time."""
        self.record(fact)
        if isinstance(fact, StepFoundNotDone) and not self._overdue():
            self._call(step, Direction.ACTION)

    def _cover(self, undone: Step) -> None:
        for step in self.saga.definition.covered_by(undone.name):
            if self.saga.may_be_undone(step):
                self.record(CompensationCovered(step=step.name, by=undone.name))

    def time_passed(self) -> None:
        state = self.saga.state
        if state.status is SagaStatus.PENDING and state.start_at and state.start_at <= self.now:
            self.record(SagaFellDue())
        if self._overdue():
            return  # nothing new is sent; `follow` turns the saga round
        for step, due in self.saga.steps:
            if due.next_attempt_at is not None and due.next_attempt_at <= self.now:
                self._call_again(step, due)

    def _call_again(self, step: Step, due: StepState) -> None:
        status = self.saga.state.status
        if due.status is StepStatus.BACKING_OFF and status is SagaStatus.RUNNING:
            asks = step.status is not None and due.doubtful
            self._call(step, Direction.STATUS if asks else Direction.ACTION)
        if due.status is StepStatus.COMPENSATION_BACKING_OFF and status is SagaStatus.COMPENSATING:
            self._call(step, Direction.COMPENSATION)

    def asked_back(self, asked: CompensationAsked) -> None:
        status = self.saga.state.status
        if status in (SagaStatus.COMPENSATING, SagaStatus.COMPENSATED):
            return
        if why := _why_not_undone(self.saga):
            raise NotCompensatable(self.saga.state.saga_id, why, allowed_actions(self.saga))
        request = CompensationRequested(actor=asked.actor, reason=asked.reason)
        if status is SagaStatus.RUNNING and self.saga.pivot_in_doubt:
            if self.saga.state.asked_back is None:
                self.record(request)
        else:
            self.record(_turned_back_on(request))

    # What follows

    def follow(self) -> None:
        while self._follow_once():
            pass

    def _follow_once(self) -> bool:
        """Whether something followed."""
        recorded = len(self.events)
        match self.saga.state.status:
            case SagaStatus.RUNNING:
                self._forward()
            case SagaStatus.COMPENSATING:
                self._backward()
            case _:
                pass
        return len(self.events) > recorded

    def _forward(self) -> None:
        for way in (self._failed, self._turned_back, self._lost_output, self._next_step):
            if way():
                return
        if not self.saga.not_done:
            self.record(SagaCompleted())

    def _failed(self) -> bool:
        """A step that ended badly: before the pivot all goes back, after it a person decides."""
        for step, state in self.saga.steps:
            if state.status in FAILED:
                error = f"{step.name} {FAILED[state.status]}: {state.last_error}"
                self._fail(step, state.status, error)
                return True
        return False

    def _fail(self, step: Step, status: StepStatus, error: str) -> None:
        in_doubt = step.pivot and status is StepStatus.UNKNOWN
        if in_doubt or self.saga.pivot_passed:
            self._park(error)
        else:
            self.record(CompensationStarted(cause=Cause.STEP_FAILED, error=error))

    def _turned_back(self) -> bool:
        """Deadline and request, unless the outcome of a pivot is awaited."""
        if self.saga.pivot_in_doubt:
            return False
        if self._overdue():
            if not (self.saga.pivot_passed and self._with(StepStatus.CALLING)):
                self._turn_back_late()
            return True  # a parked saga could not await the reply
        if (asked := self.saga.state.asked_back) and not self.saga.pivot_passed:
            self.record(_turned_back_on(asked))
            return True
        return False

    def _overdue(self) -> bool:
        state = self.saga.state
        if state.status is not SagaStatus.RUNNING or not _is_past(state.deadline, self.now):
            return False
        return not self.saga.pivot_in_doubt and bool(self.saga.not_done)

    def _turn_back_late(self) -> None:
        error = f"the deadline passed before {', '.join(self.saga.not_done)} could be done"
        if self.saga.pivot_passed:
            self._park(error)
        else:
            self.record(CompensationStarted(cause=Cause.DEADLINE, error=error))

    def _lost_output(self) -> bool:
        """A done step stays done, but what needs its reply cannot go on without it."""
        for step, state in self.saga.steps:
            if state.output_loss in STOPS:
                self._park(f"{step.name} is done, but {state.last_error}")
                return True
        return False

    def _next_step(self) -> bool:
        for step, state in self.saga.steps:
            if state.status is StepStatus.PENDING and self._is_ready(step):
                return self._skip(step) or self._call(step, Direction.ACTION)
        return False

    def _skip(self, step: Step) -> bool:
        """Leave out a step whose condition does not hold; park if nobody can tell."""
        try:
            wanted = step.when is None or is_true(step.when.evaluate(self.saga.scope()))
        except ExpressionError as error:
            self._park(f"whether {step.name} is wanted cannot be told: {error}")
            return True
        if not wanted:
            self.record(StepSkipped(step=step.name))
        return not wanted

    def _is_ready(self, step: Step) -> bool:
        return all(self.saga.status_of(one) in DONE for one in step.after)

    def _backward(self) -> None:
        """R2: settle before undo; then one step at a time, the last one done first."""
        if waiting := self._with(StepStatus.BACKING_OFF):
            self.record(settled(waiting[0], self.saga.state.step(waiting[0].name)))
        elif self._with(StepStatus.CALLING, *UNDER_UNDO):
            return
        elif self._stopped_by_failure():
            self._park_undo()
        elif (step := self._next_undo()) is not None:
            self._call(step, Direction.COMPENSATION)
        elif self._with(StepStatus.COMPENSATION_FAILED):
            self._park_undo()
        else:
            self.record(SagaCompensated())

    def _with(self, *statuses: StepStatus) -> list[Step]:
        return [step for step, state in self.saga.steps if state.status in statuses]

    def _stopped_by_failure(self) -> bool:
        failed = self._with(StepStatus.COMPENSATION_FAILED)
        return any(
            one.compensation and one.compensation.on_failure is OnFailure.PARK for one in failed
        )

    def _next_undo(self) -> Step | None:
        for name in reversed(self.saga.state.finished):
            step = self.saga.definition[name]
            if step.compensation and self.saga.may_be_undone(step):
                return step
        return None

    # Both ways

    def _call(self, step: Step, direction: Direction) -> bool:
        """Record the intent and keep the call; park if its request cannot be made."""
        attempt = _attempt(self.saga.state.step(step.name), direction)
        try:
            call = prepare(self.saga, step, direction, attempt, self.saga.scope())
        except ExpressionError as error:
            undoes = direction is Direction.COMPENSATION
            why = f"the {direction} of {step.name} cannot be called: {error}"
            self._park_undo(why) if undoes else self._park(why)
            return True
        self.record(INTENTS[direction](step=step.name, attempt=attempt))
        self.calls.append(call)
        return True

    def _park(self, why: str) -> None:
        self.record(SagaParked(why=why, not_done=self.saga.not_done))

    def _park_undo(self, why: str | None = None) -> None:
        failed = self._with(StepStatus.COMPENSATION_FAILED)
        reasons = [f"{one.name}: {self.saga.state.step(one.name).last_error}" for one in failed]
        self.record(
            SagaParked(
                why=why or f"the compensation failed of {'; '.join(reasons)}",
                not_undone=tuple(step.name for step, _ in self.saga.steps if self._stays(step)),
            )
        )

    def _stays(self, step: Step) -> bool:
        undoing = self.saga.status_of(step.name) in UNDO_UNFINISHED
        return step.has_effect and (undoing or self.saga.may_be_undone(step))


def _attempt(state: StepState, direction: Direction) -> int:
    """The number of the call that is to be made. A question is about the attempt before it."""
    match direction:
        case Direction.ACTION:
            return state.next_attempt
        case Direction.STATUS:
            return state.attempts
        case Direction.COMPENSATION:
            return state.next_compensation_attempt


def _is_past(deadline: datetime | None, now: datetime) -> bool:
    return deadline is not None and deadline <= now


def _turned_back_on(request: CompensationRequested) -> CompensationStarted:
    asked = f"compensation was requested{f': {request.reason}' if request.reason else ''}"
    return CompensationStarted(
        cause=Cause.REQUEST, error=asked, actor=request.actor, reason=request.reason
    )
