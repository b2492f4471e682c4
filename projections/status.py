"""The status of one saga as clients see it: a pure function of the saga at any version."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from ..fsm.codec import format_time
from ..fsm.formats.strict_json import Json
from ..fsm.machines import SagaStatus, StepStatus
from ..fsm.saga import Saga
from ..fsm.state import SagaState
from ..fsm.step_state import StepState

CURRENT_STEP_STATUSES = frozenset(
    {
        StepStatus.CALLING,
        StepStatus.BACKING_OFF,
        StepStatus.WAITING,
        StepStatus.COMPENSATING,
        StepStatus.COMPENSATION_BACKING_OFF,
    }
)


@dataclass(frozen=True, slots=True)
class OutputLink:
    """The address of an output that is too large for a response, and its size as JSON."""

    bytes: int
    href: str


NO_LINKS: Final[Mapping[str, OutputLink]] = {}


def status_view(saga: Saga, links: Mapping[str, OutputLink] = NO_LINKS) -> dict[str, Json]:
    """Return the body of `GET /sagas/{id}/status`; outputs of the steps in `links` are links."""
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
        "steps": [_step_view(saga, step.name, links) for step in saga.definition.steps],
        "remaining_steps": list(saga.not_done),
        "version": state.version,
        "deadline": _time(state.deadline),
        "created_at": _time(state.created_at),
        "updated_at": _time(state.updated_at),
        "paused": state.paused_at is not None,
        "parked": parked_view(saga),
    }


def start_result_view(saga: Saga, links: Mapping[str, OutputLink] = NO_LINKS) -> dict[str, Json]:
    """Return the body of the response to a start, for a saga in any state."""
    state = saga.state
    error = _final_error(state) if state.status.is_at_rest else "still running"
    return {
        "success": state.status is SagaStatus.COMPLETED,
        "saga_id": state.saga_id,
        "saga_type": state.saga_type,
        "entity_id": state.entity_id,
        "status": state.status.value,
        "error": error,
        **outputs_view(saga, links),
    }


def _final_error(state: SagaState) -> str | None:
    """Return the first error and, for a parked saga, the reason why it is parked."""
    reason = None if state.parked is None else state.parked.reason
    return state.error if reason in (None, state.error) else f"{state.error}; parked: {reason}"


def outputs_view(saga: Saga, links: Mapping[str, OutputLink] = NO_LINKS) -> dict[str, Json]:
    """Return the outputs of done steps, and beside them the links to those in `links`."""
    outputs = saga.outputs
    if not links:
        return {"outputs": outputs}
    return {
        "outputs": {name: outputs[name] for name in outputs if name not in links},
        "outputs_by_link": {name: _link_view(links[name]) for name in outputs if name in links},
    }


def current_step(saga: Saga) -> str | None:
    """Return the first step that is being called, waited for or compensated."""
    if saga.state.status.is_at_rest:
        return None
    return next((step.name for step, state in saga.steps if _is_current(state)), None)


def _is_current(state: StepState) -> bool:
    return state.status in CURRENT_STEP_STATUSES or state.output_awaited


def _step_view(saga: Saga, name: str, links: Mapping[str, OutputLink]) -> dict[str, Json]:
    step = saga.state.step(name)
    view: dict[str, Json] = {
        "name": name,
        "status": step.status.value,
        "attempts": step.attempts,
        "started_at": _time(step.started_at),
        "finished_at": _time(step.finished_at),
        "next_attempt_at": _time(step.next_attempt_at),
        "last_error": step.last_error,
        "output": step.output,
    }
    if name in links:
        view |= {"output": None, "output_link": _link_view(links[name])}
    return view


def _link_view(link: OutputLink) -> Json:
    return {"bytes": link.bytes, "href": link.href}


def parked_view(saga: Saga) -> Json:
    """Return why the saga is parked, and which steps are not done or not undone now.

    The steps decide, not the event: a callback or a child may have arrived since it was recorded.
    """
    state = saga.state
    if state.parked is None:
        return None
    is_compensating = state.cause is not None
    return {
        "reason": state.parked.reason,
        "since": _time(state.parked.since),
        "not_done": [] if is_compensating else list(saga.not_done),
        "not_undone": list(saga.not_undone) if is_compensating else [],
    }


def _time(time: datetime | None) -> str | None:
    return format_time(time) if time is not None else None
