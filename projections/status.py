"""The status of one saga, as a client sees it: a pure function of the saga, at any version."""

from __future__ import annotations

from datetime import datetime

from ..fsm.codec import format_time
from ..fsm.machines import SagaStatus, StepStatus
from ..fsm.saga import Saga
from ..fsm.strict_json import Json

UNDER_WAY = frozenset(
    {
        StepStatus.CALLING,
        StepStatus.BACKING_OFF,
        StepStatus.WAITING,
        StepStatus.COMPENSATING,
        StepStatus.COMPENSATION_BACKING_OFF,
    }
)


def status_view(saga: Saga) -> dict[str, Json]:
    """The answer of `GET /sagas/{id}/status`."""
    state = saga.state
    return {
        "saga_id": state.saga_id,
        "saga_type": state.saga_type,
        "definition_version": state.definition_version,
        "entity_id": state.entity_id,
        "status": state.status.value,
        "current_step": current_step(saga),
        "error": state.error,
        "success": state.status is SagaStatus.COMPLETED,
        "steps": [_step_view(saga, step.name) for step in saga.definition.steps],
        "remaining_steps": list(saga.not_done),
        "version": state.version,
        "deadline": _time(state.deadline),
        "created_at": _time(state.created_at),
        "updated_at": _time(state.updated_at),
        "paused": state.paused_at is not None,
        "parked": parked_view(saga),
    }


def answer_view(saga: Saga) -> dict[str, Json]:
    """The answer to a start, whatever has become of the saga by then."""
    state = saga.state
    error = state.error if state.status.rests else "still running"
    return {
        "success": state.status is SagaStatus.COMPLETED,
        "saga_id": state.saga_id,
        "saga_type": state.saga_type,
        "entity_id": state.entity_id,
        "status": state.status.value,
        "error": error,
        "outputs": saga.outputs,
    }


def current_step(saga: Saga) -> str | None:
    """The step now being called, waited for or undone; of several the first."""
    if saga.state.status.rests:
        return None
    return next((step.name for step, state in saga.steps if state.status in UNDER_WAY), None)


def _step_view(saga: Saga, name: str) -> dict[str, Json]:
    step = saga.state.step(name)
    return {
        "name": name,
        "status": step.status.value,
        "attempts": step.attempts,
        "started_at": _time(step.started_at),
        "finished_at": _time(step.finished_at),
        "next_attempt_at": _time(step.next_attempt_at),
        "last_error": step.last_error,
        "output": step.output,
    }


def parked_view(saga: Saga) -> Json:
    """What is not done, or on the way back not undone, by now: the steps say it, not the event.

    A callback or a child may have ended since it parked.
    """
    state = saga.state
    if state.parked is None:
        return None
    back = state.cause is not None
    return {
        "reason": state.parked.why,
        "since": _time(state.parked.since),
        "not_done": [] if back else list(saga.not_done),
        "not_undone": list(saga.not_undone) if back else [],
    }


def _time(time: datetime | None) -> str | None:
    return format_time(time) if time is not None else None
