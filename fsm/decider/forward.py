"""The rules of a running saga: at most one of them applies at a time.

They apply in this order: a callback or signal that has arrived completes its step, a failed step
makes the saga compensate before anything new begins, an uncertain pivot makes all other steps wait,
a lost output stops them, and then comes the next step.
"""

from __future__ import annotations

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
from ..machines import PENDING, RUNNING, SKIPPED, SUCCEEDED, StepStatus
from ..saga import DONE, Saga
from ..step_state import UNTOUCHED, StepState
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


def continue_forward(builder: DecisionBuilder) -> None:
    if not _only_next_step_can_follow(builder):
        for rule in (
            _consume_arrived,
            _handle_failed_step,
            _apply_compensation_request,
            _enforce_deadline,
            _handle_lost_output,
        ):
            if rule(builder):
                return
    _next_step(builder)


def _only_next_step_can_follow(builder: DecisionBuilder) -> bool:
    """True if no failure, request, deadline or lost output is there, as in most sagas."""
    state = builder.saga.state
    is_late = state.deadline is not None and state.deadline <= builder.now
    if is_late or state.compensation_requested is not None:
        return False
    for step in state.steps.values():
        if step.status is not SUCCEEDED and step.status in NEEDS_FULL_RULES:
            return False
        if step.output_loss is not None or step.output_awaited:
            return False
    return True


def is_overdue(builder: DecisionBuilder) -> bool:
    """True if the deadline has passed and can be enforced now."""
    saga = builder.saga
    state = saga.state
    if state.status is not RUNNING or not _is_past(state.deadline, builder.now):
        return False
    return not saga.pivot_is_uncertain and bool(saga.not_done)


def is_about_to_turn(builder: DecisionBuilder) -> bool:
    """True if the saga compensates or parks before anything forward is sent."""
    if is_overdue(builder):
        return True
    saga = builder.saga
    if saga.pivot_succeeded or saga.pivot_is_uncertain:
        return False
    return saga.state.compensation_requested is not None or not saga.statuses.isdisjoint(FAILED)


def compensation_on_request(request: CompensationRequested) -> CompensationStarted:
    reason = f": {request.reason}" if request.reason else ""
    return CompensationStarted(
        cause=Cause.REQUEST,
        error=f"compensation was requested{reason}",
        actor=request.actor,
        reason=request.reason,
    )


def _consume_arrived(builder: DecisionBuilder) -> bool:
    """Complete a waiting step whose signal or callback has already arrived."""
    for step, state in builder.saga.steps:
        if state.status is StepStatus.WAITING and _complete_from_arrived(builder, step, state):
            return True
    return False


def _complete_from_arrived(builder: DecisionBuilder, step: Step, state: StepState) -> bool:
    if (callback := state.early_callback) is not None:
        builder.record(event_for_callback(callback, state.attempts))
        return True
    for signal in builder.saga.state.signals:
        if signal.name == state.signal:
            builder.record(
                StepSucceeded(step=step.name, attempt=0, output=signal.body, signal=signal.name)
            )
            return True
    return False


def _handle_failed_step(builder: DecisionBuilder) -> bool:
    """Compensate for a failed step; after the pivot, park for an operator."""
    failed = [(step, state) for step, state in builder.saga.steps if state.status in FAILED]
    # An unknown pivot comes first: until it is resolved nothing else can be decided.
    failed.sort(key=lambda pair: not (pair[0].pivot and pair[1].status is StepStatus.UNKNOWN))
    for step, state in failed[:1]:
        error = f"{step.name} {FAILED[state.status]}: {state.last_error}"
        _park_or_compensate(builder, step, state.status, error)
    return bool(failed)


def is_called_again(saga: Saga, step: Step, status: StepStatus) -> bool:
    """True if a retry calls a failed step, because the saga does not compensate for it."""
    unknown_pivot = step.pivot and status is StepStatus.UNKNOWN
    return status in FAILED and (unknown_pivot or saga.pivot_succeeded)


def _park_or_compensate(
    builder: DecisionBuilder, step: Step, status: StepStatus, error: str
) -> None:
    in_doubt = step.pivot and status is StepStatus.UNKNOWN
    if in_doubt or builder.saga.pivot_succeeded:
        builder.park(error)
    elif not builder.saga.pivot_is_uncertain:
        builder.start_compensation(CompensationStarted(cause=Cause.STEP_FAILED, error=error))


def _apply_compensation_request(builder: DecisionBuilder) -> bool:
    """Compensate on request, once it is certain that no pivot was executed."""
    saga = builder.saga
    request = saga.state.compensation_requested
    if request is None or saga.pivot_succeeded or saga.pivot_is_uncertain:
        return False
    builder.start_compensation(compensation_on_request(request))
    return True


def _enforce_deadline(builder: DecisionBuilder) -> bool:
    """Compensate or park after the deadline, unless the outcome of a pivot is awaited."""
    if not is_overdue(builder):
        return False
    error = f"the deadline passed before {', '.join(builder.saga.not_done)} could be done"
    if builder.saga.pivot_succeeded:
        builder.park(error)
    else:
        builder.start_compensation(CompensationStarted(cause=Cause.DEADLINE, error=error))
    return True


def _handle_lost_output(builder: DecisionBuilder) -> bool:
    """Park for the lost output of a done step; wait while its call is repeated."""
    saga = builder.saga
    if any(state.output_awaited for state in saga.state.steps.values()):
        return True
    lost = [step.name for step, state in saga.steps if is_lost(saga, state)]
    if lost:
        steps = saga.state.steps
        reasons = (f"{name} is done, but {steps[name].last_error}" for name in lost)
        builder.park("; ".join(reasons), tuple(lost))
    return bool(lost)


def is_lost(saga: Saga, state: StepState) -> bool:
    """True if an output is lost that no operator has accepted to go on without."""
    accepted = state.loss_accepted or saga.state.all_losses_accepted
    return state.output_loss in STOPPING_LOSSES and not accepted


def _next_step(builder: DecisionBuilder) -> None:
    """Begin or skip the first step that is ready; complete the saga once every step is done."""
    saga = builder.saga
    states, is_sequential, is_done = saga.state.steps, saga.definition.is_sequential, True
    for step in saga.definition.steps:
        status = states.get(step.name, UNTOUCHED).status
        if status is SUCCEEDED or status is SKIPPED:
            continue
        if status is PENDING and ((is_sequential and is_done) or _is_ready(saga, step)):
            if not _skip_if_condition_fails(builder, step):
                builder.begin_step(step)
            return
        is_done = False
    if is_done:
        builder.record(SagaCompleted())


def _is_ready(saga: Saga, step: Step) -> bool:
    """True if all steps before it are done; an operator may have skipped one before its turn."""
    states, skipped = saga.state.steps, False
    for name in step.after:
        status = states.get(name, UNTOUCHED).status
        if status is SKIPPED:
            skipped = True
        elif status is not SUCCEEDED:
            return False
    return not skipped or all(
        saga.status_of(name) in DONE for name in saga.definition.predecessors(step.name)
    )


def _skip_if_condition_fails(builder: DecisionBuilder, step: Step) -> bool:
    """Skip a step whose condition does not hold; park if the condition cannot be evaluated."""
    if step.when is None:
        return False
    try:
        holds = step.when.holds(builder.saga.scope())
    except ExpressionError as error:
        what = f"the condition of {step.name} cannot be evaluated: {error}"
        builder.park_for(explain_unbuildable(builder.saga, [step.when], what))
        return True
    if not holds:
        builder.record(StepSkipped(step=step.name))
    return not holds


def _is_past(deadline: datetime | None, now: datetime) -> bool:
    return deadline is not None and deadline <= now
