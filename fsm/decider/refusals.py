"""The refusals of operator commands: why each one is not legal now."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NoReturn

from ..definitions.definition import Step
from ..errors import NotAllowed, NotCompensatable, StepNotFound
from ..machines import SagaStatus, StepStatus
from ..saga import Saga

WAITS_TO_RETRY = (StepStatus.BACKING_OFF, StepStatus.COMPENSATION_BACKING_OFF)
STATUS_PHRASES: Mapping[StepStatus, str] = {
    StepStatus.PENDING: "has not begun",
    StepStatus.CALLING: "is being called",
    StepStatus.BACKING_OFF: "waits for its next try",
    StepStatus.WAITING: "is waiting",
    StepStatus.SUCCEEDED: "is done",
    StepStatus.REJECTED: "was rejected",
    StepStatus.UNKNOWN: "has an unknown outcome",
    StepStatus.NOT_SENT: "was not executed",
    StepStatus.SKIPPED: "was skipped",
    StepStatus.COMPENSATING: "is being compensated",
    StepStatus.COMPENSATION_BACKING_OFF: "waits for the next try of its compensation",
    StepStatus.COMPENSATED: "is compensated",
    StepStatus.COMPENSATION_FAILED: "could not be compensated",
    StepStatus.RESOLVED: "was undone by hand",
}


def require_allowed(saga: Saga, verb: str) -> None:
    """Raise NotAllowed, or NotCompensatable, if the verb is legal for no step of the saga."""
    if reason := REFUSAL_REASONS[verb](saga):
        refusal = NotCompensatable if verb == "compensate" else NotAllowed
        raise refusal(saga.state.saga_id, verb, reason)


def refuse(saga: Saga, verb: str, reason: str) -> NoReturn:
    """Raise NotAllowed."""
    raise NotAllowed(saga.state.saga_id, verb, reason)


def find_step(saga: Saga, name: str) -> Step:
    """Return the step of that name. Raises StepNotFound."""
    if (step := saga.definition.by_name.get(name)) is None:
        raise StepNotFound(saga.state.saga_id, name)
    return step


def _why_not_compensate(saga: Saga) -> str | None:
    status = saga.state.status
    if saga.pivot_succeeded:
        return "its pivot has succeeded, so it can only go forward"
    if status is SagaStatus.ABANDONED:
        return "it was abandoned"
    if status is SagaStatus.PARKED and saga.state.cause is not None:
        return "it is parked while compensating"
    if status is SagaStatus.PARKED and saga.pivot_is_uncertain:
        return "the outcome of its pivot is unknown"
    if status in (SagaStatus.COMPENSATING, SagaStatus.COMPENSATED):
        return f"it is {status}"
    return None


def _why_not_cancel(saga: Saga) -> str | None:
    if saga.state.status is SagaStatus.COMPLETED:
        return "it is completed; compensate it instead"
    return _why_not_compensate(saga)


def _why_not_retry(saga: Saga) -> str | None:
    if saga.state.status is SagaStatus.PARKED:
        return None
    if saga.state.paused_at is not None:
        return "it is paused"
    waits = not saga.state.status.is_at_rest and saga.steps_in(*WAITS_TO_RETRY)
    return None if waits else "nothing is parked, and nothing waits for its next try"


def _why_not_pause(saga: Saga) -> str | None:
    if saga.state.status.is_at_rest:
        return f"it is {saga.state.status}"
    return None


def _why_not_resume(saga: Saga) -> str | None:
    return "it is not paused" if saga.state.paused_at is None else None


def _why_not_abandon(saga: Saga) -> str | None:
    status = saga.state.status
    has_ended = status.is_at_rest and status is not SagaStatus.PARKED
    return f"it is {status}" if has_ended else None


def _why_not_skip(saga: Saga) -> str | None:
    status = saga.state.status
    if status.is_at_rest and status is not SagaStatus.PARKED:
        return f"it is {status}"
    if saga.state.cause is not None:
        return "it is compensating, and no step of it can be skipped any more"
    return None if saga.steps_in(StepStatus.PENDING) else "no step of it is pending"


def _why_not_resolve(saga: Saga) -> str | None:
    parked = saga.state.status is SagaStatus.PARKED
    return None if parked else "it is not parked, so no step of it can be resolved"


def _why_not_signal(saga: Saga) -> str | None:
    return f"it is {saga.state.status}" if saga.state.status.is_at_rest else None


REFUSAL_REASONS: Mapping[str, Callable[[Saga], str | None]] = {
    "compensate": _why_not_compensate,
    "cancel": _why_not_cancel,
    "retry": _why_not_retry,
    "pause": _why_not_pause,
    "resume": _why_not_resume,
    "abandon": _why_not_abandon,
    "skip": _why_not_skip,
    "resolve": _why_not_resolve,
    "signal": _why_not_signal,
}
