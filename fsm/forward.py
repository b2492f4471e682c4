"""What follows from the state while a saga runs: at most one thing at a time.

The order is that of the rules: a failure turns the saga round before anything new begins, a pivot
in doubt keeps everybody waiting, a lost output stops it, and only then comes the next step.
"""

from __future__ import annotations

from datetime import datetime

from .consequence import of_callback
from .deciding import Deciding
from .definition import Step
from .events import (
    Cause,
    CompensationRequested,
    CompensationStarted,
    SagaCompleted,
    StepSkipped,
    StepSucceeded,
)
from .expression import Expression, ExpressionError
from .machines import SagaStatus, StepStatus
from .outcome import OutputLoss
from .saga import DONE, Saga
from .shortcut import is_true
from .step_state import StepState

FAILED = {
    StepStatus.REJECTED: "was rejected",
    StepStatus.UNKNOWN: "has an unknown outcome",
    StepStatus.NOT_SENT: "could not be sent",
}
NEEDS_A_LOOK = frozenset({*FAILED, StepStatus.WAITING})
STOPS = (OutputLoss.TOO_LARGE, OutputLoss.UNMAPPABLE)
# Those that are asked for again and again: Python takes four times longer to find `SagaStatus.X`.
RUNNING, PENDING, SKIPPED = SagaStatus.RUNNING, StepStatus.PENDING, StepStatus.SKIPPED


def follow_forward(deciding: Deciding) -> None:
    for way in () if _goes_well(deciding) else (_failed, _ended_late, _lost_output, _heard):
        if way(deciding):
            return
    if not _next_step(deciding) and deciding.saga.is_done:
        deciding.record(SagaCompleted())


def _goes_well(deciding: Deciding) -> bool:
    """As it nearly always does: then there is nothing to ask for but the next step."""
    state = deciding.saga.state
    for step in state.steps.values():
        if step.status in NEEDS_A_LOOK or step.output_loss is not None:
            return False
    return not _is_past(state.deadline, deciding.now)


def is_overdue(deciding: Deciding) -> bool:
    """Whether its deadline has passed and nothing keeps it from going back or parking."""
    saga = deciding.saga
    state = saga.state
    if state.status is not RUNNING or not _is_past(state.deadline, deciding.now):
        return False
    return not saga.pivot_in_doubt and bool(saga.not_done)


def turned_back_on(asked: CompensationRequested) -> CompensationStarted:
    why = f"compensation was requested{f': {asked.reason}' if asked.reason else ''}"
    return CompensationStarted(
        cause=Cause.REQUEST, error=why, actor=asked.actor, reason=asked.reason
    )


def _failed(deciding: Deciding) -> bool:
    """A step that ended badly: before the pivot all goes back, after it a person decides."""
    failed = [(step, state) for step, state in deciding.saga.steps if state.status in FAILED]
    # A pivot that nobody knows of comes first: until it is known nothing else can be decided.
    failed.sort(key=lambda one: not (one[0].pivot and one[1].status is StepStatus.UNKNOWN))
    for step, state in failed[:1]:
        error = f"{step.name} {FAILED[state.status]}: {state.last_error}"
        _fail(deciding, step, state.status, error)
    return bool(failed)


def _fail(deciding: Deciding, step: Step, status: StepStatus, error: str) -> None:
    in_doubt = step.pivot and status is StepStatus.UNKNOWN
    if in_doubt or deciding.saga.pivot_passed:
        deciding.park(error)
    elif not deciding.saga.pivot_in_doubt:
        deciding.turn_back(CompensationStarted(cause=Cause.STEP_FAILED, error=error))


def _ended_late(deciding: Deciding) -> bool:
    """Unless the outcome of a pivot is awaited."""
    if not is_overdue(deciding):
        return False
    error = f"the deadline passed before {', '.join(deciding.saga.not_done)} could be done"
    if deciding.saga.pivot_passed:
        deciding.park(error)
    else:
        deciding.turn_back(CompensationStarted(cause=Cause.DEADLINE, error=error))
    return True


def _lost_output(deciding: Deciding) -> bool:
    """A done step stays done, but what needs its reply cannot go on without it."""
    if deciding.saga.state.losses_accepted:
        return False
    for step, state in deciding.saga.steps:
        if state.output_loss in STOPS:
            deciding.park(f"{step.name} is done, but {state.last_error}")
            return True
    return False


def _heard(deciding: Deciding) -> bool:
    """What a waiting step waits for may be there already."""
    for step, state in deciding.saga.steps:
        if state.status is StepStatus.WAITING and _answer(deciding, step, state):
            return True
    return False


def _answer(deciding: Deciding, step: Step, state: StepState) -> bool:
    if (callback := state.callback) is not None:
        deciding.record(of_callback(callback, state.attempts))
        return True
    for signal in deciding.saga.state.signals:
        if signal.name == state.signal:
            deciding.record(
                StepSucceeded(step=step.name, attempt=0, output=signal.body, signal=signal.name)
            )
            return True
    return False


def _next_step(deciding: Deciding) -> bool:
    saga = deciding.saga
    states = saga.state.steps
    for step in saga.definition.steps:
        is_pending = step.name not in states or states[step.name].status is PENDING
        if is_pending and _is_ready(saga, step):
            if step.when is None or not _skipped(deciding, step, step.when):
                deciding.begin(step)
            return True
    return False


def _is_ready(saga: Saga, step: Step) -> bool:
    """What it comes after is done. A person may have skipped that before its own turn came."""
    states, skipped = saga.state.steps, False
    for name in step.after:
        status = states[name].status if name in states else PENDING
        if status not in DONE:
            return False
        skipped = skipped or status is SKIPPED
    if not skipped:
        return True
    return all(saga.status_of(one) in DONE for one in saga.definition.before(step.name))


def _skipped(deciding: Deciding, step: Step, when: Expression) -> bool:
    """Leave out a step whose condition does not hold; park if nobody can tell."""
    try:
        wanted = is_true(when.evaluate(deciding.saga.scope()))
    except ExpressionError as error:
        deciding.park(f"whether {step.name} is wanted cannot be told: {error}")
        return True
    if not wanted:
        deciding.record(StepSkipped(step=step.name))
    return not wanted


def _is_past(deadline: datetime | None, now: datetime) -> bool:
    return deadline is not None and deadline <= now
