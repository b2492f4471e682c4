"""What participants say, ready to be given to `decide`.

The verdicts in capitals are the plain ones; the functions say more where it matters.
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
CIRCUIT_OPEN = CallOutcome(kind=Outcome.CIRCUIT_OPEN, reason="it answers nobody")


def done(output: Json) -> CallOutcome:
    return CallOutcome(kind=Outcome.DONE, output=output, output_is_null=output is None)


def done_without_output(loss: OutputLoss, reason: str = "it is lost") -> CallOutcome:
    """The action happened; what the participant said of it cannot be used."""
    return CallOutcome(kind=Outcome.DONE, output_loss=loss, reason=reason)


def throttled(retry_after: timedelta) -> CallOutcome:
    return CallOutcome(kind=Outcome.THROTTLED, reason="429 not now", retry_after=retry_after)


def circuit_open(retry_after: timedelta) -> CallOutcome:
    """Not sent, because others had no answer either."""
    return CallOutcome(
        kind=Outcome.CIRCUIT_OPEN, reason="it answers nobody", retry_after=retry_after
    )


def callback_done(step: str, output: Json | None = None) -> StepCallback:
    """A callback: what `step` had accepted is done."""
    return StepCallback(step=step, done=True, output=output)


def callback_failed(step: str, error: str = "sold out") -> StepCallback:
    """A callback: what `step` had accepted will not be done."""
    return StepCallback(step=step, done=False, error=error)


def child_finished(
    step: str, status: SagaStatus, *, outputs: JsonObject | None = None, error: str = "no room"
) -> ChildFinished:
    """The saga that `step` is has come to rest."""
    return ChildFinished(step=step, status=status, outputs=outputs or {}, error=error)


def action_answer(
    step: str, verdict: CallOutcome, *, attempt: int = 1, resent: bool = False
) -> CallCompleted:
    """The answer to the action of `step`."""
    return CallCompleted(
        step=step, direction=Direction.ACTION, attempt=attempt, outcome=verdict, resent=resent
    )


def status_answer(step: str, verdict: CallOutcome, *, attempt: int = 1) -> CallCompleted:
    """The answer to the question what became of the action of `step`."""
    return CallCompleted(step=step, direction=Direction.STATUS, attempt=attempt, outcome=verdict)


def compensation_answer(
    step: str, verdict: CallOutcome, *, attempt: int = 1, resent: bool = False
) -> CallCompleted:
    """The answer to the compensation of `step`."""
    return CallCompleted(
        step=step, direction=Direction.COMPENSATION, attempt=attempt, outcome=verdict, resent=resent
    )
