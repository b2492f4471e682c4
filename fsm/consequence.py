"""What one answered call is recorded as, given the policies of its step."""

from __future__ import annotations

from datetime import datetime, timedelta

from .command import call_of
from .definition import Completion, Step
from .events import (
    CallbackReceived,
    CompensationBackedOff,
    CompensationFailed,
    CompensationSucceeded,
    OutputNotReceived,
    StepAccepted,
    StepBackedOff,
    StepFact,
    StepFoundNotDone,
    StepNotSent,
    StepRejected,
    StepSucceeded,
    StepUnknown,
)
from .expression import ExpressionError, MissingValue
from .happening import CallAnswered
from .machines import StepStatus
from .outcome import Direction, Outcome, OutputLoss, Verdict
from .step_state import FREE, StepState
from .strict_json import Json, JsonObject, NotKeepable, parse_foreign, serialize
from .template import render

# Asked for with every answer: Python takes four times longer to find `Direction.COMPENSATION`.
COMPENSATION, STATUS = Direction.COMPENSATION, Direction.STATUS
TOO_LARGE = OutputLoss.TOO_LARGE
UNTOLD_FROM = 2  # polls, after which not each is recorded


def wait(step: Step, state: StepState, answer: CallAnswered, jitter: float) -> timedelta:
    """Until the next try, if there is one."""
    retry, verdict = call_of(step, answer.direction).retry, answer.verdict
    match verdict.outcome:
        case Outcome.REJECTED if answer.direction is not STATUS:
            return timedelta()  # there is none, and nobody need work out when it would be
        case Outcome.BUSY | Outcome.THROTTLED | Outcome.HELD:
            told = verdict.outcome is not Outcome.BUSY and verdict.retry_after is not None
            interval = verdict.retry_after if told else retry.first
            return retry.repeated(interval, state.times + 1)  # type: ignore[arg-type]
        case _:
            return retry.delay(max(answer.attempt - _floor(state, answer.direction), 1), jitter)


def _times(state: StepState, outcome: Outcome) -> int:
    return state.times + 1 if outcome in FREE else 1


def _floor(state: StepState, direction: Direction) -> int:
    """The attempts that do not count any more, because a person asked for others."""
    return state.compensation_floor if direction is Direction.COMPENSATION else state.floor


def _may_try_again(step: Step, state: StepState, answer: CallAnswered) -> bool:
    if answer.verdict.outcome in FREE:
        return True
    tried = answer.attempt - _floor(state, answer.direction)
    return call_of(step, answer.direction).retry.allows_another(tried)


def of_done(step: Step, answer: CallAnswered) -> StepFact:
    """What was called for is done. A question is about the attempt whose number it carries."""
    if answer.direction is COMPENSATION:
        return CompensationSucceeded(step=step.name, attempt=answer.attempt)
    return _succeeded(step, answer.attempt, answer.verdict)


def output_not_received(step: Step, answer: CallAnswered) -> OutputNotReceived:
    """Return what a repeated call is recorded as that brought no output; the step stays done."""
    said = answer.verdict.reason or answer.verdict.outcome.replace("_", " ")
    error = f"its output was asked for again, and not received: {said}"
    return OutputNotReceived(step=step.name, attempt=answer.attempt, error=error)


def of_action(
    step: Step, state: StepState, answer: CallAnswered, now: datetime, until: datetime | None
) -> StepFact:
    """`until` None: the saga no longer runs, so there is no next try."""
    verdict, name, attempt = answer.verdict, answer.step, answer.attempt
    match verdict.outcome:
        case Outcome.ACCEPTED:
            return _accepted(step, attempt, now + step.completion_timeout, now, state)
        case Outcome.REJECTED:
            return StepRejected(
                step=name, attempt=attempt, error=verdict.reason, resent=answer.resent
            )
    if until is not None and _may_try_again(step, state, answer):
        return StepBackedOff(
            step=name,
            attempt=attempt,
            outcome=verdict.outcome,
            error=verdict.reason,
            until=until,
            resent=answer.resent,
            times=_times(state, verdict.outcome),
        )
    if verdict.may_have_happened or answer.resent or state.may_have_happened:
        return StepUnknown(step=name, attempt=attempt, error=verdict.reason)
    return StepNotSent(step=name, attempt=attempt, error=verdict.reason)


def of_callback(callback: CallbackReceived, attempt: int) -> StepFact:
    """One that came before the reply to its call, which is accepted or lost by now."""
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
    """Polls come at the ceilings of the retry: soon at first, then less often."""
    if step.completion is not Completion.POLL:
        return StepAccepted(step=step.name, attempt=attempt, until=until)
    polls, retry = state.polls + 1, step.retry
    return StepAccepted(
        step=step.name,
        attempt=attempt,
        until=until,
        next_poll=now + retry.repeated(retry.ceiling(polls), polls),
        polls=polls if polls > UNTOLD_FROM else 0,
    )


def of_status(
    step: Step, state: StepState, answer: CallAnswered, now: datetime, until: datetime | None
) -> StepFact:
    """What a participant says became of an action that is in doubt, or was only accepted.

    A question that gets no clear answer stands for a retry, and uses an attempt up like one.
    """
    verdict, tried = answer.verdict, state.attempts
    if state.until is not None and until is not None:
        return _of_poll(step, state, verdict, now)
    allows = step.retry.allows_another
    if verdict.outcome is Outcome.NOT_DONE:
        again = until is not None and allows(tried - state.floor)
        kind = StepFoundNotDone if again else StepNotSent
        return kind(step=step.name, attempt=tried, error=verdict.reason)
    free = verdict.outcome in FREE
    outcome, tried = (verdict.outcome, tried) if free else (Outcome.UNKNOWN, tried + 1)
    if until is None or not (free or allows(tried - state.floor)):
        return StepUnknown(step=step.name, attempt=tried, error=verdict.reason)
    return StepBackedOff(
        step=step.name,
        attempt=tried,
        outcome=outcome,
        error=verdict.reason,
        until=until,
        times=_times(state, outcome),
    )


def _of_poll(step: Step, state: StepState, verdict: Verdict, now: datetime) -> StepFact:
    assert state.until is not None
    if verdict.outcome is Outcome.NOT_DONE:
        return StepRejected(step=step.name, attempt=state.attempts, error=verdict.reason)
    return _accepted(step, state.attempts, state.until, now, state)


def settled(step: Step, state: StepState) -> StepFact:
    """R3: what a step that waits counts as when the saga turns round."""
    if step.action is None:
        off = "called off, because the saga turned back"
        return StepRejected(step=step.name, attempt=0, error=off)
    waits = state.status is StepStatus.WAITING
    kind = StepUnknown if waits or state.may_have_happened else StepNotSent
    error = state.last_error or "accepted, and not heard of again"
    return kind(step=step.name, attempt=state.attempts, error=error)


def given_up(step: Step, state: StepState) -> StepFact | None:
    """What is under way when the saga is abandoned: nobody will hear what becomes of it."""
    name, why = step.name, "abandoned before it was answered"
    if state.output_awaited:
        return OutputNotReceived(step=name, attempt=state.attempts, error=why)
    match state.status:
        case StepStatus.BACKING_OFF:
            return settled(step, state)
        case StepStatus.CALLING | StepStatus.WAITING if step.action or step.child:
            return StepUnknown(step=name, attempt=state.attempts, error=why)
        case StepStatus.COMPENSATING:
            attempt = state.compensation_attempts
            return CompensationFailed(step=name, attempt=attempt, error=why)
        case _:
            return None


def _succeeded(step: Step, attempt: int, verdict: Verdict) -> StepSucceeded:
    loss, error, output = verdict.output_loss, verdict.reason, verdict.output
    is_null = verdict.output_is_null
    if step.output is not None and loss is not TOO_LARGE:
        said = output is not None or is_null
        output, unmappable = _mapped(step, {"body": output} if said else {})
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


def _mapped(step: Step, response: JsonObject) -> tuple[Json, str]:
    """Return the declared output, and why it cannot be made of `response`."""
    assert step.output is not None
    try:
        # Through JSON: an expression can make what the log could not be read with.
        return parse_foreign(serialize(render(step.output, {"response": response}))), ""
    except MissingValue as error:
        return None, f"its output cannot be made: {error}"
    except (ExpressionError, NotKeepable) as error:
        return None, str(error)


def of_compensation(
    step: Step, state: StepState, answer: CallAnswered, until: datetime
) -> StepFact:
    verdict, name, attempt = answer.verdict, answer.step, answer.attempt
    if verdict.outcome is Outcome.REJECTED or not _may_try_again(step, state, answer):
        return CompensationFailed(step=name, attempt=attempt, error=verdict.reason)
    return CompensationBackedOff(
        step=name,
        attempt=attempt,
        outcome=verdict.outcome,
        error=verdict.reason,
        until=until,
        times=_times(state, verdict.outcome),
    )
