"""The state of one step, and what each event of a step changes of it.

An event changes several members at once, and each is one copy of the state.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import assert_never

from .events import (
    CallbackReceived,
    CompensationBackedOff,
    CompensationCalled,
    CompensationCovered,
    CompensationFailed,
    CompensationSucceeded,
    LateReplyIgnored,
    Resolution,
    StatusAsked,
    StepAccepted,
    StepBackedOff,
    StepCalled,
    StepFact,
    StepFoundNotDone,
    StepNotSent,
    StepRejected,
    StepResolved,
    StepSkipped,
    StepSucceeded,
    StepUnknown,
    WaitStarted,
)
from .frozen import changed
from .machines import StepStatus, next_step_status
from .outcome import Outcome, OutputLoss
from .strict_json import Json

FREE = (Outcome.BUSY, Outcome.THROTTLED, Outcome.HELD)  # what uses no attempt up


@dataclass(frozen=True, kw_only=True)
class StepState:
    """`doubtful`: an attempt ended unknown, so the action may have happened whatever came later.
    `was_busy`: one was still at it. `asking`: what is called is not the action but its status.

    `next_attempt_at` is when it must be looked at again, `until` when its waiting is over.
    `floor` and `compensation_floor` are the attempts that were used up before a person's retry.
    """

    status: StepStatus = StepStatus.PENDING
    attempts: int = 0
    floor: int = 0
    compensation_attempts: int = 0
    compensation_floor: int = 0
    undo_again: bool = False  # its compensation had failed, and a person wants it tried again
    last_outcome: Outcome | None = None  # of the attempt that is backed off from
    doubtful: bool = False
    was_busy: bool = False
    asking: bool = False
    polls: int = 0
    signal: str | None = None  # that it waits for
    child_id: str | None = None
    callback: CallbackReceived | None = None  # that came before its time
    started_at: datetime | None = None
    finished_at: datetime | None = None
    next_attempt_at: datetime | None = None
    until: datetime | None = None
    last_error: str | None = None
    output: Json = None
    output_loss: OutputLoss | None = None

    @property
    def next_attempt(self) -> int:
        """Of the action. Busy and throttled use no attempt up."""
        return self.attempts + self._uses_up(StepStatus.BACKING_OFF)

    @property
    def next_compensation_attempt(self) -> int:
        return self.compensation_attempts + self._uses_up(StepStatus.COMPENSATION_BACKING_OFF)

    def _uses_up(self, backing_off: StepStatus) -> bool:
        return not (self.status is backing_off and self.last_outcome in FREE)

    def put_off(self, by: timedelta) -> StepState:
        """All that it waits for comes later."""
        return changed(
            self,
            next_attempt_at=self.next_attempt_at and self.next_attempt_at + by,
            until=self.until and self.until + by,
        )


UNTOUCHED = StepState()


def step_after(  # noqa: C901 - a table, one line of thought an event
    step: StepState, event: StepFact, at: datetime
) -> StepState:
    """Raises IllegalTransition."""
    status = next_step_status(step.status, _trigger(step, event))
    match event:
        case StepCalled(attempt=attempt):
            return _called(step, status, attempt, at)
        case StepSucceeded():
            return _succeeded(step, status, event, at)
        case CompensationCalled(attempt=attempt):
            return _undo_called(step, status, attempt)
        case CompensationSucceeded() | CompensationCovered() | LateReplyIgnored():
            return changed(step, status=status)
        case StepRejected() | StepUnknown() | StepNotSent():
            return _ended(step, status, event.error, at)
        case StepBackedOff():
            return _backed_off(step, status, event)
        case StepFoundNotDone():
            return _found_not_done(step, status, event, at)
        case StatusAsked():
            return changed(step, status=status, asking=True, next_attempt_at=None)
        case StepSkipped():
            return changed(step, status=status, finished_at=at)
        case WaitStarted():
            return _waiting(step, status, event, at)
        case StepAccepted():
            return _accepted(step, status, event)
        case CallbackReceived():
            return changed(step, status=status, callback=event)
        case StepResolved(verdict=verdict, output=output):
            return _resolved(changed(step, status=status), verdict, output, at)
        case CompensationBackedOff(outcome=outcome, error=error, until=until):
            waits = changed(step, status=status, last_outcome=outcome, last_error=error)
            return changed(waits, next_attempt_at=until)
        case CompensationFailed(error=error):
            return changed(step, status=status, last_error=error)
        case _:
            assert_never(event)


def _trigger(step: StepState, event: StepFact) -> str:
    """A no, where an earlier try may have worked, leaves the step in doubt."""
    if not isinstance(event, StepRejected):
        return event.trigger
    said_done = step.callback is not None and step.callback.done
    return "reject_in_doubt" if step.doubtful or event.resent or said_done else event.trigger


def _called(step: StepState, status: StepStatus, attempt: int, at: datetime) -> StepState:
    """One that had ended, and that a person wants tried again, has all its attempts once more."""
    again = step.finished_at is not None
    return changed(
        step,
        status=status,
        attempts=attempt,
        floor=attempt - 1 if again else step.floor,
        asking=False,
        callback=None if again else step.callback,
        started_at=step.started_at or at,
        finished_at=None,
        next_attempt_at=None,
    )


def _succeeded(
    step: StepState, status: StepStatus, event: StepSucceeded, at: datetime
) -> StepState:
    return changed(
        step,
        status=status,
        finished_at=at,
        next_attempt_at=None,
        until=None,
        output=event.output,
        output_loss=event.output_loss,
        last_error=event.error,
    )


def _undo_called(step: StepState, status: StepStatus, attempt: int) -> StepState:
    again = step.status is StepStatus.COMPENSATION_FAILED
    return changed(
        step,
        status=status,
        compensation_attempts=attempt,
        compensation_floor=attempt - 1 if again else step.compensation_floor,
        next_attempt_at=None,
        undo_again=False,
    )


def _ended(step: StepState, status: StepStatus, error: str, at: datetime) -> StepState:
    return changed(
        step,
        status=status,
        finished_at=at,
        next_attempt_at=None,
        until=None,
        last_error=error,
        doubtful=step.doubtful or status is StepStatus.UNKNOWN,
    )


def _backed_off(step: StepState, status: StepStatus, event: StepBackedOff) -> StepState:
    return changed(
        step,
        status=status,
        attempts=event.attempt,
        last_error=event.error,
        asking=False,
        last_outcome=event.outcome,
        doubtful=step.doubtful or event.resent or event.outcome is Outcome.UNKNOWN,
        was_busy=step.was_busy or event.outcome is Outcome.BUSY,
        next_attempt_at=event.until,
    )


def _found_not_done(
    step: StepState, status: StepStatus, event: StepFoundNotDone, at: datetime
) -> StepState:
    return changed(
        step,
        status=status,
        attempts=event.attempt,
        last_error=event.error,
        asking=False,
        last_outcome=Outcome.NOT_DONE,
        doubtful=False,
        was_busy=False,
        next_attempt_at=at,
    )


def _waiting(step: StepState, status: StepStatus, event: WaitStarted, at: datetime) -> StepState:
    return changed(
        step,
        status=status,
        started_at=step.started_at or at,
        finished_at=None,
        next_attempt_at=event.until,
        until=event.until,
        signal=event.signal,
        child_id=event.child_id,
    )


def _accepted(step: StepState, status: StepStatus, event: StepAccepted) -> StepState:
    return changed(
        step,
        status=status,
        asking=False,
        polls=step.polls + 1,
        until=event.until,
        next_attempt_at=min(event.next_poll or event.until, event.until),
    )


def _resolved(after: StepState, verdict: Resolution, output: Json, at: datetime) -> StepState:
    match verdict:
        case Resolution.DONE:
            return changed(after, output=output, finished_at=at, last_error=None)
        case Resolution.NOT_DONE:
            return changed(after, finished_at=at, doubtful=False, was_busy=False)
        case Resolution.UNDONE:
            return after
