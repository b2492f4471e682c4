"""Replies of participants: outcomes of calls, and the inputs that carry them to `decide`.

The outcomes in capitals are the plain ones; the functions return those with an output, a reason or
a time to wait.
"""

from __future__ import annotations

from datetime import timedelta

from ..call_outcome import CallOutcome, Direction, Outcome, OutputLoss
from ..formats.strict_json import Json, JsonObject
from ..inputs import CallCompleted, ChildFinished, StepCallback
from ..machines import SagaStatus

DONE = CallOutcome(kind=Outcome.DONE)
REJECTED = CallOutcome(kind=Outcome.REJECTED, reason="409 no")
BUSY = CallOutcome(kind=Outcome.BUSY, reason="425 still at it")
THROTTLED = CallOutcome(kind=Outcome.THROTTLED, reason="429 not now")
UNKNOWN = CallOutcome(kind=Outcome.UNKNOWN, reason="500 oops")
NOT_SENT = CallOutcome(kind=Outcome.NOT_SENT, reason="refused")
NOT_DONE = CallOutcome(kind=Outcome.NOT_DONE, reason="the participant does not know the call")
ACCEPTED = CallOutcome(kind=Outcome.ACCEPTED)
CIRCUIT_OPEN = CallOutcome(kind=Outcome.CIRCUIT_OPEN, reason="it does not respond")


def done(output: Json) -> CallOutcome:
    """Return the outcome of an action that was done, with its output; null is a value."""
    return CallOutcome(kind=Outcome.DONE, output=output, output_is_null=output is None)


def done_without_output(loss: OutputLoss, reason: str = "it is lost") -> CallOutcome:
    """Return the outcome of an action that was done, and whose response cannot be used."""
    return CallOutcome(kind=Outcome.DONE, output_loss=loss, reason=reason)


def throttled(retry_after: timedelta) -> CallOutcome:
    """Return the outcome of a call that was turned away with a `Retry-After`."""
    return CallOutcome(kind=Outcome.THROTTLED, reason="429 not now", retry_after=retry_after)


def circuit_open(retry_after: timedelta) -> CallOutcome:
    """Return the outcome of a call that was withheld, since the circuit breaker is open."""
    return CallOutcome(
        kind=Outcome.CIRCUIT_OPEN, reason="it does not respond", retry_after=retry_after
    )


def callback_done(step: str, output: Json | None = None) -> StepCallback:
    """Return the callback that says that an accepted step is done."""
    return StepCallback(step=step, done=True, output=output)


def callback_failed(step: str, error: str = "sold out") -> StepCallback:
    """Return the callback that says that an accepted step has failed."""
    return StepCallback(step=step, done=False, error=error)


def child_finished(
    step: str, status: SagaStatus, *, outputs: JsonObject | None = None, error: str = "no room"
) -> ChildFinished:
    """Return the input that says that the child saga of a step has come to rest."""
    return ChildFinished(step=step, status=status, outputs=outputs or {}, error=error)


def action_answer(
    step: str, outcome: CallOutcome, *, attempt: int = 1, resent: bool = False
) -> CallCompleted:
    """Return the answer to an action."""
    return CallCompleted(
        step=step, direction=Direction.ACTION, attempt=attempt, outcome=outcome, resent=resent
    )


def status_answer(step: str, outcome: CallOutcome, *, attempt: int = 1) -> CallCompleted:
    """Return the answer to a status query about an action."""
    return CallCompleted(step=step, direction=Direction.STATUS, attempt=attempt, outcome=outcome)


def compensation_answer(
    step: str, outcome: CallOutcome, *, attempt: int = 1, resent: bool = False
) -> CallCompleted:
    """Return the answer to a compensation."""
    return CallCompleted(
        step=step, direction=Direction.COMPENSATION, attempt=attempt, outcome=outcome, resent=resent
    )
