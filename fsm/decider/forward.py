"""What follows from the state while a saga runs: at most one thing at a time.

The order is that of the rules: a failure turns the saga round before anything new begins, a pivot
in doubt keeps everybody waiting, a lost output stops it, and only then comes the next step.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime

from ..call_outcome import OutputLoss
from ..definitions.definition import Step
from ..events import (
    Cause,
    CompensationRequested,
    CompensationStarted,
    SagaCompleted,
    StepSkipped,
    StepSucceeded,
)
from ..expressions.expression import ExpressionError
from ..machines import SagaStatus, StepStatus
from ..saga import DONE, Saga
from ..step_state import StepState
from .call_results import event_for_callback
from .decision import DecisionBuilder
from .missing_outputs import explain_unbuildable

FAILED = {
    StepStatus.REJECTED: "was rejected",
    StepStatus.UNKNOWN: "has an unknown outcome",
    StepStatus.NOT_SENT: "could not be sent",
}
NEEDS_FULL_RULES = frozenset({*FAILED, StepStatus.WAITING})
STOPPING_LOSSES = (OutputLoss.TOO_LARGE, OutputLoss.UNMAPPABLE)
# Those that are asked for again and again: Python takes four times longer to find `SagaStatus.X`.
RUNNING, SUCCEEDED = SagaStatus.RUNNING, StepStatus.SUCCEEDED
PENDING, SKIPPED = StepStatus.PENDING, StepStatus.SKIPPED


def continue_forward(deciding: DecisionBuilder) -> None:
    if not continue_sequence(deciding):
        continue_graph(deciding)


def continue_sequence(deciding: DecisionBuilder) -> bool:
    """What nearly always follows, or False: the next of a sequence in which all else has succeeded.

    It is what `continue_graph` comes to in such a saga, which asks far more.
    """
    saga = deciding.saga
    states = saga.state.steps
    if not saga.definition.is_sequential:
        return False
    for passed, step in enumerate(saga.definition.steps):
        if (state := states.get(step.name)) is None:
            if passed < len(states) or step.when or _is_past(saga.state.deadline, deciding.now):
                return False
            deciding.begin_step(step)
            return True
        if state.status is not SUCCEEDED or state.output_loss is not None or state.output_awaited:
            return False
    deciding.record(SagaCompleted())
    return True


def continue_graph(deciding: DecisionBuilder) -> None:
    for way in _applicable_rules(deciding.saga):
        if way(deciding):
            return
    if not deciding.saga.not_done:
        deciding.record(SagaCompleted())


def _applicable_rules(saga: Saga) -> Sequence[Callable[[DecisionBuilder], bool]]:
    """What can follow: where all goes well, as it nearly always does, only what time asks for."""
    for state in saga.state.steps.values():
        if (
            state.status in NEEDS_FULL_RULES
            or state.output_loss is not None
            or state.output_awaited
        ):
            return (
                _handle_failed_step,
                _apply_compensation_request,
                _enforce_deadline,
                _handle_lost_output,
                _consume_arrived,
                _next_step,
            )
    return (_apply_compensation_request, _enforce_deadline, _next_step)


def is_overdue(deciding: DecisionBuilder) -> bool:
    """Whether its deadline has passed and nothing keeps it from going back or parking."""
    saga = deciding.saga
    state = saga.state
    if state.status is not RUNNING or not _is_past(state.deadline, deciding.now):
        return False
    return not saga.pivot_is_uncertain and bool(saga.not_done)


def is_about_to_turn(deciding: DecisionBuilder) -> bool:
    """Whether it goes back, or parks, before anything forward is sent."""
    if is_overdue(deciding):
        return True
    saga = deciding.saga
    if saga.pivot_succeeded or saga.pivot_is_uncertain:
        return False
    return saga.state.compensation_requested is not None or not saga.statuses.isdisjoint(FAILED)


def compensation_on_request(asked: CompensationRequested) -> CompensationStarted:
    why = f"compensation was requested{f': {asked.reason}' if asked.reason else ''}"
    return CompensationStarted(
        cause=Cause.REQUEST, error=why, actor=asked.actor, reason=asked.reason
    )


def _handle_failed_step(deciding: DecisionBuilder) -> bool:
    """A step that ended badly: before the pivot all goes back, after it a person decides."""
    failed = [(step, state) for step, state in deciding.saga.steps if state.status in FAILED]
    # A pivot that nobody knows of comes first: until it is known nothing else can be decided.
    failed.sort(key=lambda one: not (one[0].pivot and one[1].status is StepStatus.UNKNOWN))
    for step, state in failed[:1]:
        error = f"{step.name} {FAILED[state.status]}: {state.last_error}"
        _park_or_compensate(deciding, step, state.status, error)
    return bool(failed)


def is_called_again(saga: Saga, step: Step, status: StepStatus) -> bool:
    """True if a retry calls a step that has ended badly, because it does not turn the saga back."""
    unknown_pivot = step.pivot and status is StepStatus.UNKNOWN
    return status in FAILED and (unknown_pivot or saga.pivot_succeeded)


def _park_or_compensate(
    deciding: DecisionBuilder, step: Step, status: StepStatus, error: str
) -> None:
    in_doubt = step.pivot and status is StepStatus.UNKNOWN
    if in_doubt or deciding.saga.pivot_succeeded:
        deciding.park(error)
    elif not deciding.saga.pivot_is_uncertain:
        deciding.start_compensation(CompensationStarted(cause=Cause.STEP_FAILED, error=error))


def _apply_compensation_request(deciding: DecisionBuilder) -> bool:
    """A request that a pivot in doubt has kept waiting, once that pivot has not happened."""
    saga = deciding.saga
    asked = saga.state.compensation_requested
    if asked is None or saga.pivot_succeeded or saga.pivot_is_uncertain:
        return False
    deciding.start_compensation(compensation_on_request(asked))
    return True


def _enforce_deadline(deciding: DecisionBuilder) -> bool:
    """Unless the outcome of a pivot is awaited."""
    if not is_overdue(deciding):
        return False
    error = f"the deadline passed before {', '.join(deciding.saga.not_done)} could be done"
    if deciding.saga.pivot_succeeded:
        deciding.park(error)
    else:
        deciding.start_compensation(CompensationStarted(cause=Cause.DEADLINE, error=error))
    return True


def _handle_lost_output(deciding: DecisionBuilder) -> bool:
    """A done step stays done, but what needs its reply cannot go on without it.

    While the reply is asked for again, everything waits for it.
    """
    saga = deciding.saga
    if any(state.output_awaited for state in saga.state.steps.values()):
        return True
    lost = [step.name for step, state in saga.steps if is_lost(saga, state)]
    if lost:
        steps = saga.state.steps
        reasons = (f"{name} is done, but {steps[name].last_error}" for name in lost)
        deciding.park("; ".join(reasons), tuple(lost))
    return bool(lost)


def is_lost(saga: Saga, state: StepState) -> bool:
    """True if an output is lost that no operator has accepted to go on without."""
    accepted = state.loss_accepted or saga.state.all_losses_accepted
    return state.output_loss in STOPPING_LOSSES and not accepted


def _consume_arrived(deciding: DecisionBuilder) -> bool:
    """What a waiting step waits for may be there already."""
    for step, state in deciding.saga.steps:
        if state.status is StepStatus.WAITING and _complete_from_arrived(deciding, step, state):
            return True
    return False


def _complete_from_arrived(deciding: DecisionBuilder, step: Step, state: StepState) -> bool:
    if (callback := state.early_callback) is not None:
        deciding.record(event_for_callback(callback, state.attempts))
        return True
    for signal in deciding.saga.state.signals:
        if signal.name == state.signal:
            deciding.record(
                StepSucceeded(step=step.name, attempt=0, output=signal.body, signal=signal.name)
            )
            return True
    return False


def _next_step(deciding: DecisionBuilder) -> bool:
    saga = deciding.saga
    for step, state in saga.steps:
        if state.status is PENDING and _is_ready(saga, step):
            if not _skip_if_condition_fails(deciding, step):
                deciding.begin_step(step)
            return True
    return False


def _is_ready(saga: Saga, step: Step) -> bool:
    """What it comes after is done. A person may have skipped that before its own turn came."""
    statuses = [saga.status_of(one) for one in step.after]
    if not DONE.issuperset(statuses):
        return False
    if SKIPPED not in statuses:
        return True
    return all(saga.status_of(one) in DONE for one in saga.definition.predecessors(step.name))


def _skip_if_condition_fails(deciding: DecisionBuilder, step: Step) -> bool:
    """Leave out a step whose condition does not hold; park if nobody can tell."""
    if step.when is None:
        return False
    try:
        wanted = step.when.holds(deciding.saga.scope())
    except ExpressionError as error:
        what = f"whether {step.name} is wanted cannot be told: {error}"
        deciding.park_for(explain_unbuildable(deciding.saga, [step.when], what))
        return True
    if not wanted:
        deciding.record(StepSkipped(step=step.name))
    return not wanted


def _is_past(deadline: datetime | None, now: datetime) -> bool:
    return deadline is not None and deadline <= now
