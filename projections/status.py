"""The status of one saga, as a client sees it: a pure function of the saga, at any version."""

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
    """Where an output is that is too large for an answer, and how large it is as JSON."""

    bytes: int
    href: str


NO_LINKS: Final[Mapping[str, OutputLink]] = {}


def status_view(saga: Saga, links: Mapping[str, OutputLink] = NO_LINKS) -> dict[str, Json]:
    """The answer of `GET /sagas/{id}/status`; of steps in `links` the output is a link."""
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
    """The answer to a start, whatever has become of the saga by then."""
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
    """What went wrong first and, of a saga that is parked, why it stopped."""
    why = None if state.parked is None else state.parked.reason
    return state.error if why in (None, state.error) else f"{state.error}; parked: {why}"


def outputs_view(saga: Saga, links: Mapping[str, OutputLink] = NO_LINKS) -> dict[str, Json]:
    """The outputs of steps that were done; those in `links` stand beside them, if there are any."""
    outputs = saga.outputs
    if not links:
        return {"outputs": outputs}
    return {
        "outputs": {name: one for name, one in outputs.items() if name not in links},
        "outputs_by_link": {name: _link_view(links[name]) for name in outputs if name in links},
    }


def current_step(saga: Saga) -> str | None:
    """The step now being called, waited for or undone; of several the first."""
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
    """What is not done, or on the way back not undone, by now: the steps say it, not the event.

    A callback or a child may have ended since it parked.
    """
    state = saga.state
    if state.parked is None:
        return None
    back = state.cause is not None
    return {
        "reason": state.parked.reason,
        "since": _time(state.parked.since),
        "not_done": [] if back else list(saga.not_done),
        "not_undone": list(saga.not_undone) if back else [],
    }


def _time(time: datetime | None) -> str | None:
    return format_time(time) if time is not None else None
