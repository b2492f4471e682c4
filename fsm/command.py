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
from .strict_json import NotKeepable, serialize
from .template import Scope, render, render_path, render_text

LARGEST_REQUEST = 1024 * 1024  # bytes of a body
CALLED = {
    StepStatus.CALLING: Direction.ACTION,
    StepStatus.COMPENSATING: Direction.COMPENSATION,
}


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
        prepare(saga, step, CALLED[status], _attempt(saga, step, CALLED[status]), scope)
        for step in saga.definition.steps
        if (status := saga.status_of(step.name)) in CALLED
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
    call = step.action if direction is Direction.ACTION else step.compensation
    assert call is not None, "a step without a compensation is not undone"
    return call


def _attempt(saga: Saga, step: Step, direction: Direction) -> int:
    state = saga.state.step(step.name)
    return state.attempts if direction is Direction.ACTION else state.compensation_attempts


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
