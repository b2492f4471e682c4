"""What one answered call is recorded as, given the policies of its step."""

from __future__ import annotations

from datetime import datetime, timedelta

from .command import call_of
from .definition import Step
from .events import (
    CompensationBackedOff,
    CompensationFailed,
    CompensationSucceeded,
    StepBackedOff,
    StepFact,
    StepFoundNotDone,
    StepNotSent,
    StepRejected,
    StepSucceeded,
    StepUnknown,
)
from .expression import ExpressionError
from .happening import CallAnswered
from .outcome import Outcome, OutputLoss, Verdict
from .state import StepState
from .strict_json import Json, NotKeepable, parse_foreign, serialize
from .template import render


def wait(step: Step, answer: CallAnswered, jitter: float) -> timedelta:
    """Until the next try, if there is one."""
    retry, verdict = call_of(step, answer.direction).retry, answer.verdict
    match verdict.outcome:
        case Outcome.DONE:
            return timedelta()
        case Outcome.BUSY:
            return retry.first
        case Outcome.THROTTLED:
            return verdict.retry_after if verdict.retry_after is not None else retry.first
        case _:
            return retry.delay(answer.attempt, jitter)


def _may_try_again(step: Step, answer: CallAnswered) -> bool:
    if answer.verdict.outcome in (Outcome.BUSY, Outcome.THROTTLED):
        return True
    return call_of(step, answer.direction).retry.allows_another(answer.attempt)


def of_action(
    step: Step, state: StepState, answer: CallAnswered, until: datetime | None
) -> StepFact:
    """`until` None: the saga no longer runs, so there is no next try."""
    verdict, name, attempt = answer.verdict, answer.step, answer.attempt
    match verdict.outcome:
        case Outcome.DONE:
            return _succeeded(step, attempt, verdict)
        case Outcome.REJECTED:
            return StepRejected(
                step=name, attempt=attempt, error=verdict.reason, resent=answer.resent
            )
    if until is not None and _may_try_again(step, answer):
        return StepBackedOff(
            step=name,
            attempt=attempt,
            outcome=verdict.outcome,
            error=verdict.reason,
            until=until,
            resent=answer.resent,
        )
    if verdict.may_have_happened or answer.resent or state.doubtful or state.was_busy:
        return StepUnknown(step=name, attempt=attempt, error=verdict.reason)
    return StepNotSent(step=name, attempt=attempt, error=verdict.reason)


def of_status(
    step: Step, state: StepState, answer: CallAnswered, until: datetime | None
) -> StepFact:
    """What a participant says became of an action that is in doubt.

    A question that gets no clear answer stands for a retry, and uses an attempt up like one.
    """
    verdict, retry, tried = answer.verdict, step.action.retry, state.attempts
    match verdict.outcome:
        case Outcome.DONE:
            return _succeeded(step, tried, verdict)
        case Outcome.NOT_DONE if until is not None and retry.allows_another(tried):
            return StepFoundNotDone(step=step.name, attempt=tried, error=verdict.reason)
        case Outcome.NOT_DONE:
            return StepNotSent(step=step.name, attempt=tried, error=verdict.reason)
        case Outcome.BUSY:
            outcome = Outcome.BUSY
        case _:
            outcome, tried = Outcome.UNKNOWN, tried + 1
    if until is None or not (outcome is Outcome.BUSY or retry.allows_another(tried)):
        return StepUnknown(step=step.name, attempt=tried, error=verdict.reason)
    return StepBackedOff(
        step=step.name, attempt=tried, outcome=outcome, error=verdict.reason, until=until
    )


def settled(step: Step, state: StepState) -> StepFact:
    """R3: what a step that waits for its next try counts as when the saga turns round."""
    kind = StepUnknown if state.doubtful or state.was_busy else StepNotSent
    return kind(step=step.name, attempt=state.attempts, error=state.last_error or "")


def _succeeded(step: Step, attempt: int, verdict: Verdict) -> StepSucceeded:
    loss, error, output = verdict.output_loss, verdict.reason, verdict.output
    if step.output is not None and loss is not OutputLoss.TOO_LARGE:
        output, missing = _mapped(step, output)
        if missing:
            loss, error, output = OutputLoss.UNMAPPABLE, error or missing, None
    return StepSucceeded(
        step=step.name, attempt=attempt, output=output, output_loss=loss, error=error or None
    )


def _mapped(step: Step, body: Json) -> tuple[Json, str]:
    """The declared output, and why it cannot be made of `body`."""
    assert step.output is not None
    try:
        # Through JSON: an expression can make what the log could not be read with.
        output = parse_foreign(serialize(render(step.output, {"response": {"body": body}})))
    except (ExpressionError, NotKeepable) as error:
        return None, str(error)
    assert isinstance(output, dict)
    missing = [name for name, value in output.items() if value is None]
    return output, f"the reply has nothing for the output {', '.join(missing)}" if missing else ""


def of_compensation(step: Step, answer: CallAnswered, until: datetime) -> StepFact:
    verdict, name, attempt = answer.verdict, answer.step, answer.attempt
    if verdict.outcome is Outcome.DONE:
        return CompensationSucceeded(step=name, attempt=attempt)
    if verdict.outcome is Outcome.REJECTED or not _may_try_again(step, answer):
        return CompensationFailed(step=name, attempt=attempt, error=verdict.reason)
    return CompensationBackedOff(
        step=name, attempt=attempt, outcome=verdict.outcome, error=verdict.reason, until=until
    )
