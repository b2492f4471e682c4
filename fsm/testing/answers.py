"""What participants say, ready to be given to `decide`.

The verdicts in capitals are the plain ones; the functions say more where it matters.
"""

from __future__ import annotations

from datetime import timedelta

from ..happening import CallAnswered, ChildRested, StepReported
from ..machines import SagaStatus
from ..outcome import Direction, Outcome, OutputLoss, Verdict
from ..strict_json import Json, JsonObject

DONE = Verdict(outcome=Outcome.DONE)
REJECTED = Verdict(outcome=Outcome.REJECTED, reason="409 no")
BUSY = Verdict(outcome=Outcome.BUSY, reason="425 still at it")
THROTTLED = Verdict(outcome=Outcome.THROTTLED, reason="429 not now")
UNKNOWN = Verdict(outcome=Outcome.UNKNOWN, reason="500 oops")
NOT_SENT = Verdict(outcome=Outcome.NOT_SENT, reason="refused")
NOT_DONE = Verdict(outcome=Outcome.NOT_DONE, reason="never heard of it")
ACCEPTED = Verdict(outcome=Outcome.ACCEPTED)
HELD = Verdict(outcome=Outcome.HELD, reason="it answers nobody")


def done(output: Json) -> Verdict:
    return Verdict(outcome=Outcome.DONE, output=output, output_is_null=output is None)


def done_without_output(loss: OutputLoss, reason: str = "it is lost") -> Verdict:
    """The action happened; what the participant said of it cannot be used."""
    return Verdict(outcome=Outcome.DONE, output_loss=loss, reason=reason)


def throttled(retry_after: timedelta) -> Verdict:
    return Verdict(outcome=Outcome.THROTTLED, reason="429 not now", retry_after=retry_after)


def held(retry_after: timedelta) -> Verdict:
    """Not sent, because others had no answer either."""
    return Verdict(outcome=Outcome.HELD, reason="it answers nobody", retry_after=retry_after)


def completed(step: str, output: Json = None) -> StepReported:
    """A callback: what `step` had accepted is done."""
    return StepReported(step=step, done=True, output=output)


def failed(step: str, error: str = "sold out") -> StepReported:
    """A callback: what `step` had accepted will not be done."""
    return StepReported(step=step, done=False, error=error)


def child_rested(
    step: str, status: SagaStatus, *, outputs: JsonObject | None = None, error: str = "no room"
) -> ChildRested:
    """The saga that `step` is has come to rest."""
    return ChildRested(step=step, status=status, outputs=outputs or {}, error=error)


def answered(
    step: str, verdict: Verdict, *, attempt: int = 1, resent: bool = False
) -> CallAnswered:
    """The answer to the action of `step`."""
    return CallAnswered(
        step=step, direction=Direction.ACTION, attempt=attempt, verdict=verdict, resent=resent
    )


def told(step: str, verdict: Verdict, *, attempt: int = 1) -> CallAnswered:
    """The answer to the question what became of the action of `step`."""
    return CallAnswered(step=step, direction=Direction.STATUS, attempt=attempt, verdict=verdict)


def undo_answered(
    step: str, verdict: Verdict, *, attempt: int = 1, resent: bool = False
) -> CallAnswered:
    """The answer to the compensation of `step`."""
    return CallAnswered(
        step=step, direction=Direction.COMPENSATION, attempt=attempt, verdict=verdict, resent=resent
    )
