"""The instructions of a decision to the runtime.

They are derived from the state and never stored, so that no crash can lose one.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable, Collection, Iterable, Mapping
from datetime import datetime, timedelta
from operator import attrgetter
from typing import TypeAlias

from msgspec import Struct
from msgspec.structs import replace

from .call_outcome import ACTION, STATUS, Direction
from .definitions.definition import Call, Child, Completion, Step
from .events import Parent
from .expressions.expression import ExpressionError, MissingValue
from .expressions.template import (
    Scope,
    is_header_value,
    make_lenient,
    render,
    render_path,
    render_text,
)
from .formats.strict_json import InvalidJson, Json, serialize
from .machines import COMPENSATING, RUNNING, SagaStatus, StepStatus
from .saga import Saga
from .step_state import StepState

CALLBACK = Completion.CALLBACK
# Members of the scope below which null stands for absent values.
INPUT_ONLY = ("input",)
ALL_ROOTS = ("input", "steps", "saga")
CHILD_IS_ACTIVE = frozenset({StepStatus.WAITING, StepStatus.COMPENSATING})
MAY_REST_BEFORE_CHILDREN = frozenset({SagaStatus.PARKED, SagaStatus.ABANDONED})
MAX_REQUEST_BYTES = 1024 * 1024  # bytes of a body
CALL_BY_DIRECTION: Mapping[Direction, Callable[[Step], Call | None]] = {
    Direction.ACTION: attrgetter("action"),
    Direction.COMPENSATION: attrgetter("compensation"),
    Direction.STATUS: attrgetter("status"),
}
DIRECTION_BY_STATUS: Mapping[StepStatus, Direction] = {
    StepStatus.CALLING: Direction.ACTION,
    StepStatus.COMPENSATING: Direction.COMPENSATION,
}


class CallParticipant(Struct, frozen=True, gc=False, kw_only=True):
    """Send a request to a participant. `key` is that of all attempts; `timeout` bounds this one."""

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
    awaits_callback: bool = False


class StartChild(Struct, frozen=True, gc=False, kw_only=True):
    """Start a child saga. Safe to repeat: its id is a function of parent and step."""

    child_id: str
    saga_type: str
    version: int | None
    input: Json
    entity_id: Json
    parent: Parent


class CompensateChild(Struct, frozen=True, gc=False, kw_only=True):
    """Compensate a child saga. Safe to repeat."""

    child_id: str
    parent: Parent


class PauseChild(Struct, frozen=True, gc=False, kw_only=True):
    """Pause a child saga. Safe to repeat."""

    child_id: str
    parent: Parent


ChildInstruction: TypeAlias = StartChild | CompensateChild | PauseChild
Instruction: TypeAlias = CallParticipant | ChildInstruction


def pending_instructions(saga: Saga) -> list[Instruction]:
    """Return an instruction for each call and child saga whose result is not recorded.

    A recorded call can always be built again: the values that it is made of never change.
    """
    return [*_pending_calls(saga), *child_instructions(saga)]


def child_instructions(saga: Saga) -> list[ChildInstruction]:
    """Return the instructions for child sagas that are active."""
    back = saga.state.status is SagaStatus.COMPENSATING
    instructions: list[ChildInstruction] = []
    for step in saga.definition.children:
        state = saga.state.step(step.name)
        if state.child_cancelled:
            instructions.append(build_child_compensation(saga, step))
        elif state.status not in CHILD_IS_ACTIVE:
            continue
        elif saga.state.paused_at is not None:
            child_id = child_id_of(saga.state.saga_id, step.name)
            instructions.append(PauseChild(child_id=child_id, parent=_parent_of_child(saga, step)))
        elif back or state.status is StepStatus.COMPENSATING:
            instructions.append(build_child_compensation(saga, step))
        else:
            instructions.append(_rebuild_child_start(saga, step))
    return instructions


def recovered(saga: Saga, now: datetime) -> Saga:
    """Return the saga as another process goes on with it after a crash.

    Once it compensates, or is requested to, a forward call in flight is not sent again: its reply
    is awaited for as long as its timeout.
    """
    if not resends_no_actions(saga, now):
        return saga
    called = [step.name for step, state in saga.steps if pending_call(state) is ACTION]
    return awaiting_replies(saga, called, now)


def awaiting_replies(saga: Saga, steps: Iterable[str], now: datetime) -> Saga:
    """Return the saga that awaits the replies to the calls of `steps`, and does not resend them."""
    due = {name: _reply_deadline(saga, name, now) for name in steps}
    return Saga(
        saga.definition, replace(saga.state, reply_deadlines={**saga.state.reply_deadlines, **due})
    )


def resends_no_actions(saga: Saga, now: datetime) -> bool:
    """True if forward calls that were sent before a crash are not to be sent again."""
    state = saga.state
    if state.status is COMPENSATING:
        return True
    if state.status is not RUNNING or saga.pivot_succeeded:
        return False
    overdue = state.deadline is not None and state.deadline <= now
    return state.compensation_requested is not None or (overdue and not saga.pivot_is_uncertain)


def _reply_deadline(saga: Saga, name: str, now: datetime) -> datetime:
    """Return the time at which the timeout of a call in flight has certainly passed.

    The log has the time of the intent, but the call may have been sent again later: by another
    process that crashed as well, though only until the saga began to compensate; or as a repetition
    that was not recorded.
    """
    step, state = saga.definition.by_name[name], saga.state.steps[name]
    assert step.action is not None
    since = now
    if state.called_at is not None and state.repetitions < 2:
        turned_at = saga.state.compensation_decided_at or saga.state.deadline or now
        since = max(state.called_at, min(turned_at, now))
    return since + step.action.timeout


def active_children(saga: Saga) -> list[str]:
    """Return the ids of the child sagas that are awaited or compensated."""
    children = saga.definition.children
    names = (step.name for step in children if saga.status_of(step.name) in CHILD_IS_ACTIVE)
    return [child_id_of(saga.state.saga_id, name) for name in names]


def needs_no_recovery(saga: Saga) -> bool:
    """True if recovery has nothing to do for this saga.

    A saga may rest while a child saga of it is active, whose result it must still receive.
    """
    status = saga.state.status
    if not status.is_at_rest or saga.has_pending_webhook:
        return False
    return status not in MAY_REST_BEFORE_CHILDREN or not child_instructions(saga)


def build_child_start(saga: Saga, step: Step) -> StartChild:
    """Return the instruction to start the child saga of `step`. Raises ExpressionError."""
    assert step.child is not None
    return _child_start(saga, step, step.child, () if saga.state.input_checked else INPUT_ONLY)


def _rebuild_child_start(saga: Saga, step: Step) -> StartChild:
    """Return the recorded start of a child saga once more, as `rebuild_call` does."""
    assert step.child is not None
    return _child_start(saga, step, step.child, ALL_ROOTS)


def _child_start(saga: Saga, step: Step, child: Child, roots: Collection[str]) -> StartChild:
    template, scope = child.input, saga.scope()
    if template is not None and roots:
        template = make_lenient(template, roots)
    return StartChild(
        child_id=child_id_of(saga.state.saga_id, step.name),
        saga_type=child.saga_type,
        version=child.version,
        input=None if template is None else render(template, scope),
        entity_id=saga.state.entity_id,
        parent=_parent_of_child(saga, step),
    )


def build_child_compensation(saga: Saga, step: Step) -> CompensateChild:
    child_id = child_id_of(saga.state.saga_id, step.name)
    return CompensateChild(child_id=child_id, parent=_parent_of_child(saga, step))


def _parent_of_child(saga: Saga, step: Step) -> Parent:
    return Parent(saga_id=saga.state.saga_id, step=step.name, depth=saga.state.depth + 1)


def child_id_of(saga_id: str, step: str) -> str:
    """Return the id of a child saga: a function of parent and step, in the parent's shard."""
    digest = hashlib.sha256(f"{saga_id}/{step}".encode()).hexdigest()
    return f"{saga_id[:14]}7{digest[:3]}-a{digest[3:6]}-{digest[6:16]}{saga_id[-2:]}"


def _pending_calls(saga: Saga) -> list[CallParticipant]:
    return [
        rebuild_call(saga, step, direction, _attempts_made(state, direction))
        for step, state in saga.steps
        if (direction := pending_call(state)) is not None and step.action is not None
        if step.name not in saga.state.reply_deadlines
    ]


def build_call(saga: Saga, step: Step, direction: Direction, attempt: int) -> CallParticipant:
    """Return the call of `step` in that direction. Raises ExpressionError."""
    call = call_of(step, direction)
    if saga.state.input_checked:
        return _build_call(saga, step, direction, attempt, call)
    return _build_call(saga, step, direction, attempt, _with_nulls_for_absent(call, INPUT_ONLY))


def rebuild_call(saga: Saga, step: Step, direction: Direction, attempt: int) -> CallParticipant:
    """Return a recorded call once more.

    Earlier versions sent null for absent values. A call of theirs may have arrived, and its key
    promises the same request.
    """
    try:
        return build_call(saga, step, direction, attempt)
    except MissingValue:
        call = _with_nulls_for_absent(call_of(step, direction), ALL_ROOTS)
        return _build_call(saga, step, direction, attempt, call)


def _with_nulls_for_absent(call: Call, roots: Collection[str]) -> Call:
    body, headers = call.body, call.headers
    return dataclasses.replace(
        call,
        path=make_lenient(call.path, roots),
        body=None if body is None else make_lenient(body, roots),
        headers=tuple([(name, make_lenient(value, roots)) for name, value in headers]),
    )


def _build_call(
    saga: Saga, step: Step, direction: Direction, attempt: int, call: Call
) -> CallParticipant:
    scope = saga.scope(call.steps_read)
    return CallParticipant(
        saga_id=saga.state.saga_id,
        step=step.name,
        direction=direction,
        attempt=attempt,
        key=saga.key(step.name, direction),
        participant=step.participant,
        method=call.method,
        path=render_path(call.path, scope),
        headers=_headers(call, scope) if call.headers else {},
        body=_body(call, scope),
        timeout=call.timeout,
        awaits_callback=direction is ACTION and step.completion is CALLBACK,
    )


def call_of(step: Step, direction: Direction) -> Call:
    call = CALL_BY_DIRECTION[direction](step)
    assert call is not None, f"{step.name} declares no {direction}"
    return call


def pending_call(state: StepState) -> Direction | None:
    """Return the direction of the call in flight, if there is one."""
    called_for = DIRECTION_BY_STATUS.get(state.status) or (ACTION if state.output_awaited else None)
    return STATUS if state.is_querying_status and called_for is ACTION else called_for


def _attempts_made(state: StepState, direction: Direction) -> int:
    undoes = direction is Direction.COMPENSATION
    return state.compensation_attempts if undoes else state.attempts


def next_wakeup(saga: Saga) -> datetime | None:
    """Return the time of the next timer of the saga, if there is one."""
    state = saga.state
    if state.status.is_at_rest or state.paused_at is not None:
        return None
    wake = _saga_timer(saga)
    for step in state.steps.values():
        due = step.next_attempt_at
        if due is not None and (wake is None or due < wake):
            wake = due
    for due in state.reply_deadlines.values():
        wake = due if wake is None else min(wake, due)
    return wake


def _saga_timer(saga: Saga) -> datetime | None:
    """Return the time of the scheduled start, or of the deadline."""
    state = saga.state
    if state.status is RUNNING:
        # A deadline that has passed is enforced once the interrupted calls are settled.
        is_past = state.deadline is not None and state.deadline <= state.updated_at
        waits = saga.pivot_is_uncertain or (is_past and bool(state.reply_deadlines))
        return None if waits else state.deadline
    return state.start_at if state.status is SagaStatus.PENDING else None


def _headers(call: Call, scope: Scope) -> dict[str, str]:
    headers = {name: render_text(value, scope) for name, value in call.headers}
    for name, value in headers.items():
        if not is_header_value(value):
            header = f"the header {name} would be {value[:80]!r}"
            raise ExpressionError(f"{header}, and a header is one line of printable ASCII")
    return headers


def _body(call: Call, scope: Scope) -> bytes | None:
    """Return the body of the call; one that is null is not sent."""
    value = render(call.body, scope) if call.body is not None else None
    if value is None:
        return None
    try:
        body = serialize(value)
    except InvalidJson as error:
        raise ExpressionError(f"the body of the call is not JSON: {error}") from None
    if len(body) > MAX_REQUEST_BYTES:
        raise ExpressionError(f"the body of the call is larger than {MAX_REQUEST_BYTES} bytes")
    return body
