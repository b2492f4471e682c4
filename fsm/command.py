"""What must be sent now. Derived from the state and never stored, so that no crash can lose it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from .definition import Call, Step
from .expression import ExpressionError
from .machines import SagaStatus, StepStatus
from .outcome import Direction
from .saga import Saga
from .state import StepState
from .strict_json import NotKeepable, serialize
from .template import Scope, render, render_path, render_text

LARGEST_REQUEST = 1024 * 1024  # bytes of a body


@dataclass(frozen=True, slots=True, kw_only=True)
class CallParticipant:
    """`key` goes with every attempt; `timeout` bounds this one as a whole."""

    saga_id: str
    step: str
    direction: Direction
    attempt: int
    key: str
    participant: str
    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes | None
    timeout: timedelta


def commands(saga: Saga) -> list[CallParticipant]:
    """Every call that is recorded as made and has no recorded answer.

    Its request could be made when it was recorded, and what it is made of never changes.
    """
    scope = saga.scope()
    return [
        prepare(saga, step, direction, _attempt(state, direction), scope)
        for step, state in saga.steps
        if (direction := awaited(state)) is not None
    ]


def prepare(
    saga: Saga, step: Step, direction: Direction, attempt: int, scope: Scope
) -> CallParticipant:
    """The request that `step` makes of its participant. Raises ExpressionError."""
    call = call_of(step, direction)
    return CallParticipant(
        saga_id=saga.state.saga_id,
        step=step.name,
        direction=direction,
        attempt=attempt,
        key=saga.key(step.name, direction),
        participant=step.participant,
        method=call.method,
        path=render_path(call.path, scope),
        headers={name: render_text(value, scope) for name, value in call.headers},
        body=_body(call, scope),
        timeout=call.timeout,
    )


def call_of(step: Step, direction: Direction) -> Call:
    calls: dict[Direction, Call | None] = {
        Direction.ACTION: step.action,
        Direction.COMPENSATION: step.compensation,
        Direction.STATUS: step.status,
    }
    call = calls[direction]
    assert call is not None, f"{step.name} declares no {direction}"
    return call


def awaited(state: StepState) -> Direction | None:
    """What a step has been called for, and has no answer to yet."""
    match state.status:
        case StepStatus.CALLING:
            return Direction.STATUS if state.asking else Direction.ACTION
        case StepStatus.COMPENSATING:
            return Direction.COMPENSATION
        case _:
            return None


def _attempt(state: StepState, direction: Direction) -> int:
    undoes = direction is Direction.COMPENSATION
    return state.compensation_attempts if undoes else state.attempts


def wake_up(saga: Saga) -> datetime | None:
    """When the saga must be looked at again though nobody has answered or asked."""
    state = saga.state
    if state.status.rests:
        return None
    times = [step.next_attempt_at for step in state.steps.values()]
    if state.status is SagaStatus.PENDING:
        times.append(state.start_at)
    if state.status is SagaStatus.RUNNING and not saga.pivot_in_doubt:
        times.append(state.deadline)
    return min((time for time in times if time is not None), default=None)


def _body(call: Call, scope: Scope) -> bytes | None:
    """A body that is null is not sent."""
    value = render(call.body, scope) if call.body is not None else None
    if value is None:
        return None
    try:
        body = serialize(value)
    except NotKeepable as error:
        raise ExpressionError(f"the body of the call is not JSON: {error}") from None
    if len(body) > LARGEST_REQUEST:
        raise ExpressionError(f"the body of the call is larger than {LARGEST_REQUEST} bytes")
    return body
