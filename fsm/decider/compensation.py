"""The rules of a compensating saga: settle all calls, then compensate in reverse order.

R2: nothing is compensated while a forward call may still be in flight. R3: compensated is what
succeeded or is unknown. R5: the policy of its step decides about a failed compensation.
"""

from __future__ import annotations

from ..call_outcome import Direction
from ..definitions.definition import OnFailure, Step
from ..events import CompensationImplied, SagaCompensated
from ..machines import StepStatus
from ..step_state import StepState
from .call_results import event_for_stopped_step
from .decision import DecisionBuilder

FAILED = StepStatus.COMPENSATION_FAILED
COMPENSATED_STATUSES = frozenset({StepStatus.COMPENSATED, StepStatus.RESOLVED})
UNSETTLED_STATUSES = frozenset({StepStatus.BACKING_OFF, StepStatus.WAITING})
WAITING_STATUSES = frozenset({StepStatus.WAITING, StepStatus.COMPENSATION_BACKING_OFF})


def continue_compensation(builder: DecisionBuilder) -> None:
    saga = builder.saga
    statuses = saga.statuses
    if not statuses.isdisjoint(UNSETTLED_STATUSES) and _settle(builder):
        return
    if (
        _record_implied_compensation(builder)
        or saga.has_call_in_flight
        or not statuses.isdisjoint(WAITING_STATUSES)
    ):
        return
    failed = saga.steps_in(FAILED) if FAILED in statuses else []
    is_retried = any(_is_retried(saga.state.step(step.name)) for step in failed)
    if not is_retried and any(_stops_on_failure(step) for step in failed):
        _park_on_failures(builder, failed)
    elif (step := _next_to_compensate(builder)) is not None:
        builder.call(step, Direction.COMPENSATION)
    elif failed:
        _park_on_failures(builder, failed)
    elif stays := saga.not_undone:
        builder.park_compensation(f"no compensation for {', '.join(stays)}")
    else:
        builder.record(SagaCompensated())


def _settle(builder: DecisionBuilder) -> bool:
    """Record the end of a step that backs off or waits."""
    for step, state in builder.saga.steps:
        waits = state.status is StepStatus.WAITING and step.child is None
        if waits or state.status is StepStatus.BACKING_OFF:
            builder.record(event_for_stopped_step(step, state))
            return True
    return False


def _record_implied_compensation(builder: DecisionBuilder) -> bool:
    """Record the compensation of a step by that of another."""
    for step, by in builder.saga.definition.implied_compensations:
        if builder.saga.status_of(by) in COMPENSATED_STATUSES and builder.saga.needs_compensation(
            step
        ):
            builder.record(CompensationImplied(step=step.name, by=by))
            return True
    return False


def _is_retried(state: StepState) -> bool:
    """True of a failed compensation that an operator retries."""
    return state.status is FAILED and state.compensation_retry_requested


def _stops_on_failure(step: Step) -> bool:
    return step.compensation is None or step.compensation.on_failure is OnFailure.PARK


def _next_to_compensate(builder: DecisionBuilder) -> Step | None:
    """R3: return the last finished step that still stands or whose compensation is retried.

    A retry does not change the order. R5: nothing is called before a failed compensation of a later
    step that stops the others, and that is not retried.
    """
    saga = builder.saga
    for name in reversed(saga.state.finished):
        step, state = saga.definition.by_name[name], saga.state.steps[name]
        stands = step.is_compensatable and saga.needs_compensation(step)
        if stands or _is_retried(state):
            return step
        if state.status is FAILED and _stops_on_failure(step):
            return None
    return None


def _park_on_failures(builder: DecisionBuilder, failed: list[Step]) -> None:
    state = builder.saga.state
    reasons = [
        f"compensation of {step.name} failed: {state.step(step.name).last_error}" for step in failed
    ]
    builder.park_compensation("; ".join(reasons))
