"""The events that record the results of calls, under the policies of their steps."""

from __future__ import annotations

from datetime import datetime, timedelta

from ..call_outcome import COMPENSATION, STATUS, CallOutcome, Direction, Outcome, OutputLoss
from ..definitions.definition import Completion, Step
from ..events import (
    CallbackReceived,
    CompensationBackedOff,
    CompensationFailed,
    CompensationSucceeded,
    OutputNotReceived,
    StepAccepted,
    StepBackedOff,
    StepConfirmedNotExecuted,
    StepFact,
    StepNotSent,
    StepRejected,
    StepSucceeded,
    StepUnknown,
)
from ..expressions.expression import ExpressionError, MissingValue
from ..expressions.template import render
from ..formats.strict_json import InvalidJson, Json, JsonObject, parse_untrusted, serialize
from ..inputs import CallCompleted
from ..instructions import call_of
from ..machines import StepStatus
from ..step_state import DOES_NOT_CONSUME_ATTEMPT, StepState

TOO_LARGE = OutputLoss.TOO_LARGE
POLLS_RECORDED_EACH = 2  # later polls are not all recorded


def retry_delay(step: Step, state: StepState, completed: CallCompleted, jitter: float) -> timedelta:
    """Return the time until the next attempt, if there is one."""
    retry, outcome = call_of(step, completed.direction).retry, completed.outcome
    match outcome.kind:
        case Outcome.REJECTED if completed.direction is not STATUS:
            return timedelta()  # there is none
        case Outcome.BUSY | Outcome.THROTTLED | Outcome.CIRCUIT_OPEN:
            is_given = outcome.kind is not Outcome.BUSY and outcome.retry_after is not None
            interval = outcome.retry_after if is_given else retry.first
            return retry.repetition_delay(interval, state.repetitions + 1)  # type: ignore[arg-type]
        case _:
            tried = completed.attempt - _attempts_before_retry(state, completed.direction)
            return retry.delay(max(tried, 1), jitter)


def _repetitions(state: StepState, kind: Outcome) -> int:
    return state.repetitions + 1 if kind in DOES_NOT_CONSUME_ATTEMPT else 1


def _attempts_before_retry(state: StepState, direction: Direction) -> int:
    """Return the attempts that do not count, because an operator has retried the step since."""
    if direction is COMPENSATION:
        return state.compensation_attempts_before_retry
    return state.attempts_before_retry


def _may_try_again(step: Step, state: StepState, completed: CallCompleted) -> bool:
    if completed.outcome.kind in DOES_NOT_CONSUME_ATTEMPT:
        return True
    tried = completed.attempt - _attempts_before_retry(state, completed.direction)
    return call_of(step, completed.direction).retry.allows_another(tried)


def event_for_success(step: Step, completed: CallCompleted) -> StepFact:
    """Return the event of a call that succeeded; a status query is about the attempt it names."""
    if completed.direction is COMPENSATION:
        return CompensationSucceeded(step=step.name, attempt=completed.attempt)
    return _succeeded(step, completed.attempt, completed.outcome)


def event_for_missing_output(step: Step, completed: CallCompleted) -> OutputNotReceived:
    """Return the event of a repeated call that brought no output; the step stays done."""
    reason = completed.outcome.reason or completed.outcome.kind.replace("_", " ")
    error = f"output requested again, and not received: {reason}"
    return OutputNotReceived(step=step.name, attempt=completed.attempt, error=error)


def event_for_action_result(
    step: Step, state: StepState, completed: CallCompleted, now: datetime, until: datetime | None
) -> StepFact:
    """Return the event of an action that did not succeed.

    `until` is the time of the next attempt, None if the saga no longer runs.
    """
    outcome, name, attempt = completed.outcome, completed.step, completed.attempt
    match outcome.kind:
        case Outcome.ACCEPTED:
            return _accepted(step, attempt, now + step.completion_timeout, now, state)
        case Outcome.REJECTED:
            return StepRejected(
                step=name, attempt=attempt, error=outcome.reason, resent=completed.resent
            )
    if until is not None and _may_try_again(step, state, completed):
        return StepBackedOff(
            step=name,
            attempt=attempt,
            outcome=outcome.kind,
            error=outcome.reason,
            until=until,
            resent=completed.resent,
            times=_repetitions(state, outcome.kind),
        )
    if outcome.may_have_happened or completed.resent or state.may_have_happened:
        return StepUnknown(step=name, attempt=attempt, error=outcome.reason)
    return StepNotSent(step=name, attempt=attempt, error=outcome.reason)


def event_for_callback(callback: CallbackReceived, attempt: int) -> StepFact:
    """Return the event of a callback that came before the reply to its call."""
    if callback.done:
        return StepSucceeded(
            step=callback.step,
            attempt=attempt,
            output=callback.output,
            output_is_null=callback.output is None,
        )
    return StepRejected(step=callback.step, attempt=attempt, error=callback.error or "")


def _accepted(
    step: Step, attempt: int, until: datetime, now: datetime, state: StepState
) -> StepAccepted:
    """Return the event of an accepted call. Its polls follow each other at the longest delays of
    the retry policy."""
    if step.completion is not Completion.POLL:
        return StepAccepted(step=step.name, attempt=attempt, until=until)
    polls, retry = state.polls + 1, step.retry
    return StepAccepted(
        step=step.name,
        attempt=attempt,
        until=until,
        next_poll=now + retry.repetition_delay(retry.max_delay(polls), polls),
        polls=polls if polls > POLLS_RECORDED_EACH else 0,
    )


def event_for_status_result(
    step: Step, state: StepState, completed: CallCompleted, now: datetime, until: datetime | None
) -> StepFact:
    """Return the event of a status query for an action that is uncertain or was only accepted.

    A query without a clear reply takes the place of a retry and consumes an attempt.
    """
    outcome, tried = completed.outcome, state.attempts
    if state.wait_deadline is not None and until is not None:
        return _event_for_poll_result(step, state, outcome, now)
    allows = step.retry.allows_another
    if outcome.kind is Outcome.NOT_DONE:
        again = until is not None and allows(tried - state.attempts_before_retry)
        event_type = StepConfirmedNotExecuted if again else StepNotSent
        return event_type(step=step.name, attempt=tried, error=outcome.reason)
    free = outcome.kind in DOES_NOT_CONSUME_ATTEMPT
    recorded_kind, tried = (outcome.kind, tried) if free else (Outcome.UNKNOWN, tried + 1)
    if until is None or not (free or allows(tried - state.attempts_before_retry)):
        return StepUnknown(step=step.name, attempt=tried, error=outcome.reason)
    return StepBackedOff(
        step=step.name,
        attempt=tried,
        outcome=recorded_kind,
        error=outcome.reason,
        until=until,
        times=_repetitions(state, recorded_kind),
    )


def _event_for_poll_result(
    step: Step, state: StepState, outcome: CallOutcome, now: datetime
) -> StepFact:
    assert state.wait_deadline is not None
    if outcome.kind is Outcome.NOT_DONE:
        return StepRejected(step=step.name, attempt=state.attempts, error=outcome.reason)
    return _accepted(step, state.attempts, state.wait_deadline, now, state)


def event_for_stopped_step(step: Step, state: StepState) -> StepFact:
    """R3: return the event of a waiting step when the saga begins to compensate."""
    if step.action is None:
        error = "stopped, because the saga compensates"
        return StepRejected(step=step.name, attempt=0, error=error)
    waits = state.status is StepStatus.WAITING
    event_type = StepUnknown if waits or state.may_have_happened else StepNotSent
    error = state.last_error or "accepted, but completion never reported"
    return event_type(step=step.name, attempt=state.attempts, error=error)


def event_for_abandoned_step(step: Step, state: StepState) -> StepFact | None:
    """Return the event of a step that is active when its saga is abandoned."""
    name, error = step.name, "abandoned before its reply arrived"
    if state.output_awaited:
        return OutputNotReceived(step=name, attempt=state.attempts, error=error)
    match state.status:
        case StepStatus.BACKING_OFF:
            return event_for_stopped_step(step, state)
        case StepStatus.CALLING | StepStatus.WAITING if step.action or step.child:
            return StepUnknown(step=name, attempt=state.attempts, error=error)
        case StepStatus.COMPENSATING:
            attempt = state.compensation_attempts
            return CompensationFailed(step=name, attempt=attempt, error=error)
        case _:
            return None


def _succeeded(step: Step, attempt: int, outcome: CallOutcome) -> StepSucceeded:
    loss, error, output = outcome.output_loss, outcome.reason, outcome.output
    is_null = outcome.output_is_null
    if step.output is not None and loss is not TOO_LARGE:
        has_body = output is not None or is_null
        output, unmappable = _mapped_output(step, {"body": output} if has_body else {})
        is_null = False
        if unmappable:
            loss, error = OutputLoss.UNMAPPABLE, error or unmappable
    return StepSucceeded(
        step=step.name,
        attempt=attempt,
        output=output,
        output_is_null=is_null,
        output_loss=loss,
        error=error or None,
    )


def _mapped_output(step: Step, response: JsonObject) -> tuple[Json, str]:
    """Return the declared output, and why it cannot be made of `response`."""
    assert step.output is not None
    try:
        # Through JSON: an expression can make what the log could not be read with.
        return parse_untrusted(serialize(render(step.output, {"response": response}))), ""
    except MissingValue as error:
        return None, f"its output cannot be made: {error}"
    except (ExpressionError, InvalidJson) as error:
        return None, str(error)


def event_for_compensation_result(
    step: Step, state: StepState, completed: CallCompleted, until: datetime
) -> StepFact:
    """Return the event of a compensation that did not succeed."""
    outcome, name, attempt = completed.outcome, completed.step, completed.attempt
    if outcome.kind is Outcome.REJECTED or not _may_try_again(step, state, completed):
        return CompensationFailed(step=name, attempt=attempt, error=outcome.reason)
    return CompensationBackedOff(
        step=name,
        attempt=attempt,
        outcome=outcome.kind,
        error=outcome.reason,
        until=until,
        times=_repetitions(state, outcome.kind),
    )
