"""Guards of retry and resolve: they must have an effect, and change no request that may be resent.

A call keeps its idempotency key over all attempts, so its request must stay the same. An output
that an operator supplies, or that a repeated call brings, may be read by a request that was already
sent and may be sent again.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NoReturn

from ..call_outcome import Direction
from ..definitions.definition import Step
from ..errors import WouldParkAgain
from ..events import SagaParked, SagaUnparked, StepResolved
from ..expressions.expression import ExpressionError
from ..inputs import Input, ResolveStep, Retry
from ..instructions import CallParticipant, call_of, rebuild_call
from ..machines import StepStatus
from ..saga import Saga
from ..state import Parked
from ..step_state import StepState
from .decision import DecisionBuilder
from .refusals import refuse

ACTION_MAY_BE_RESENT = (StepStatus.BACKING_OFF, StepStatus.WAITING, StepStatus.UNKNOWN)
COMPENSATION_MAY_BE_RESENT = (
    StepStatus.COMPENSATION_BACKING_OFF,
    StepStatus.COMPENSATION_FAILED,
)


def require_effect(before: Saga, command: Input, builder: DecisionBuilder) -> None:
    """Refuse a retry that would only park the saga again for the same reason, and an output that
    still lacks what the parked request needs."""
    parked = before.state.parked
    if parked is None:
        return
    match command, builder.events:
        case Retry(), [SagaUnparked(accepted=()), SagaParked() as again]:
            if again.reason == parked.reason:
                _refuse_to_park_again(before, command.verb, again.reason)
        case ResolveStep(), [StepResolved(), SagaUnparked(), SagaParked() as again]:
            if _gives_output(command) and _output_is_insufficient(
                command.step, again, builder, parked
            ):
                _refuse_to_park_again(before, command.verb, again.reason)


def _output_is_insufficient(
    step: str, again: SagaParked, builder: DecisionBuilder, parked: Parked
) -> bool:
    """True if the saga parks again because of the output of `step`."""
    is_only_cause = again.without_output == (step,)
    is_still_cause = step in (again.without_output or ()) and again.reason == parked.reason
    return step in builder.lacking or is_only_cause or is_still_cause


def _gives_output(command: ResolveStep) -> bool:
    return command.output is not None or command.output_is_null


def _refuse_to_park_again(saga: Saga, verb: str, reason: str) -> NoReturn:
    raise WouldParkAgain(saga.state.saga_id, verb, f"it would park again: {reason}")


def require_missing_output(saga: Saga, verb: str, step: Step) -> None:
    """Refuse to change the output of a done step that the saga is not parked for.

    An event of schema version 1 does not name the steps and leaves the choice to the operator.
    """
    parked = saga.state.parked
    named = None if parked is None else parked.without_output
    if named is not None and step.name not in named:
        refuse(saga, verb, f"{step.name} is done, and the saga is not parked for its output")


def require_output(saga: Saga, command: ResolveStep, step: Step) -> None:
    """Refuse to resolve a done step as done, unless the command supplies its missing output."""
    require_missing_output(saga, "resolve", step)
    if not _gives_output(command):
        refuse(saga, "resolve", f"{step.name} is done; give the output that is missing")


def require_unchanged_requests(before: Saga, after: Saga, step: Step) -> None:
    """Refuse an output that would change a request which may be sent again under its key."""
    for other, direction in _resendable_calls(before):
        if _request(before, other, direction) != _request(after, other, direction):
            reason = f"{other.name} may be sent again, and that output would change its request"
            refuse(before, "resolve", f"{reason}; decide about {other.name} first")


def resendable_reader_of(saga: Saga, step: Step) -> str | None:
    """Return a step whose request reads the output of `step` and may be sent again."""
    for other, direction in _resendable_calls(saga):
        read = call_of(other, direction).steps_read
        if other is not step and (read is None or step.name in read):
            return other.name
    return None


def input_changed_since(saga: Saga, step: Step, state: StepState) -> str | None:
    """Return a step that the request of `step` reads and whose output has changed since."""
    assert step.action is not None
    assert state.finished_at is not None
    read = step.action.steps_read
    for name, other in saga.state.steps.items():
        changed = other.output_changed_at
        if (read is None or name in read) and changed is not None and changed >= state.finished_at:
            return name
    return None


def _resendable_calls(saga: Saga) -> Iterator[tuple[Step, Direction]]:
    for step, state in saga.steps:
        waits_to_retry = state.status is StepStatus.BACKING_OFF
        if waits_to_retry and not state.may_have_happened:
            continue
        if step.action is not None and state.attempts and state.status in ACTION_MAY_BE_RESENT:
            yield step, Direction.ACTION
        if step.compensation is not None and state.status in COMPENSATION_MAY_BE_RESENT:
            yield step, Direction.COMPENSATION


def _request(saga: Saga, step: Step, direction: Direction) -> CallParticipant | None:
    try:
        return rebuild_call(saga, step, direction, attempt=1)
    except ExpressionError:
        return None
