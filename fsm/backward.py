"""What follows from the state while a saga compensates: settle, then undo, the last one done first.

R2: nothing is undone while anything forward may still be under way. R3: undone is what succeeded
or is unknown. R5: what follows a failed compensation is the policy of its step.
"""

from __future__ import annotations

from .consequence import settled
from .deciding import Deciding
from .definition import OnFailure, Step
from .events import CompensationCovered, SagaCompensated
from .machines import StepStatus
from .outcome import Direction
from .step_state import StepState

UNDONE = frozenset({StepStatus.COMPENSATED, StepStatus.RESOLVED})
TO_BE_SETTLED = frozenset({StepStatus.BACKING_OFF, StepStatus.WAITING})
WAITS = frozenset({StepStatus.WAITING, StepStatus.COMPENSATION_BACKING_OFF})


def follow_backward(deciding: Deciding) -> None:
    saga = deciding.saga
    statuses = saga.statuses
    if not statuses.isdisjoint(TO_BE_SETTLED) and _settle(deciding):
        return
    if _cover(deciding) or saga.is_called or not statuses.isdisjoint(WAITS):
        return
    has_failed = StepStatus.COMPENSATION_FAILED in statuses
    failed = [step for step, state in saga.steps if _has_failed(state)] if has_failed else []
    if has_failed and (again := _next_again(deciding)) is not None:
        deciding.call(again, Direction.COMPENSATION)
    elif any(_stops(step) for step in failed):
        _park(deciding, failed)
    elif (step := _next(deciding)) is not None:
        deciding.call(step, Direction.COMPENSATION)
    elif failed:
        _park(deciding, failed)
    elif stays := saga.not_undone:
        deciding.park_undo(f"nothing undoes {', '.join(stays)}")
    else:
        deciding.record(SagaCompensated())


def _settle(deciding: Deciding) -> bool:
    """What waits for its next try, or for somebody else, is not waited for any more."""
    for step, state in deciding.saga.steps:
        waits = state.status is StepStatus.WAITING and step.child is None
        if waits or state.status is StepStatus.BACKING_OFF:
            deciding.record(settled(step, state))
            return True
    return False


def _cover(deciding: Deciding) -> bool:
    """What the compensation of another step has undone as well."""
    for step, by in deciding.saga.definition.covered:
        if deciding.saga.status_of(by) in UNDONE and deciding.saga.may_be_undone(step):
            deciding.record(CompensationCovered(step=step.name, by=by))
            return True
    return False


def _has_failed(state: StepState) -> bool:
    """For good, as far as anybody has said."""
    return state.status is StepStatus.COMPENSATION_FAILED and not state.undo_again


def _stops(step: Step) -> bool:
    return step.compensation is None or step.compensation.on_failure is OnFailure.PARK


def _next_again(deciding: Deciding) -> Step | None:
    """Return the last one done of those that an operator wants tried again."""
    saga = deciding.saga
    again = (name for name in reversed(saga.state.finished) if saga.state.steps[name].undo_again)
    name = next(again, None)
    return None if name is None else saga.definition.by_name[name]


def _next(deciding: Deciding) -> Step | None:
    saga = deciding.saga
    for name in reversed(saga.state.finished):
        step = saga.definition.by_name[name]
        if step.is_undoable and saga.may_be_undone(step):
            return step
    return None


def _park(deciding: Deciding, failed: list[Step]) -> None:
    state = deciding.saga.state
    reasons = [
        f"compensation of {one.name} failed: {state.step(one.name).last_error}" for one in failed
    ]
    deciding.park_undo("; ".join(reasons))
