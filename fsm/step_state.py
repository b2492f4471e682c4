"""The state of one step, and what each event of a step changes of it.

An event changes several members at once, in the members of the one state that it makes.
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
from .frozen import Members, changed, made, quickly_built
from .machines import StepStatus, next_step_status
from .outcome import Outcome, OutputLoss
from .strict_json import Json

# Those that are asked for again and again: Python takes four times longer to find `StepStatus.X`.
BACKING_OFF, UNDO_BACKING_OFF = StepStatus.BACKING_OFF, StepStatus.COMPENSATION_BACKING_OFF
UNKNOWN = StepStatus.UNKNOWN
FREE = (Outcome.BUSY, Outcome.THROTTLED, Outcome.HELD)  # what uses no attempt up


@quickly_built
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
        free = self.status is BACKING_OFF and self.last_outcome in FREE
        return self.attempts + (not free)

    @property
    def next_compensation_attempt(self) -> int:
        free = self.status is UNDO_BACKING_OFF and self.last_outcome in FREE
        return self.compensation_attempts + (not free)

    def put_off(self, by: timedelta) -> StepState:
        """All that it waits for comes later."""
        later = self.next_attempt_at and self.next_attempt_at + by
        return changed(self, {"next_attempt_at": later, "until": self.until and self.until + by})


UNTOUCHED = StepState()


def step_after(  # noqa: C901 - a table, one line of thought an event
    step: StepState, event: StepFact, at: datetime
) -> StepState:
    """Raises IllegalTransition."""
    trigger = _rejection(step, event) if isinstance(event, StepRejected) else event.trigger
    status = next_step_status(step.status, trigger)
    members = step.__dict__.copy()  # of the state that is made; what an event changes is set here
    members["status"] = status
    match event:
        case StepSucceeded():
            _succeeded(members, event, at)
        case StepCalled():
            _called(members, event, at)
        case CompensationCalled():
            _undo_called(members, event, step.status)
        case CompensationSucceeded() | CompensationCovered() | LateReplyIgnored():
            pass
        case StepRejected() | StepUnknown() | StepNotSent():
            _ended(members, event, at)
        case StepBackedOff():
            _backed_off(members, event)
        case StepFoundNotDone():
            _found_not_done(members, event, at)
        case StatusAsked():
            members |= {"asking": True, "next_attempt_at": None}
        case StepSkipped():
            members["finished_at"] = at
        case WaitStarted():
            _waiting(members, event, at)
        case StepAccepted():
            _accepted(members, event)
        case CallbackReceived():
            members["callback"] = event
        case StepResolved():
            _resolved(members, event, at)
        case CompensationBackedOff():
            _undo_backed_off(members, event)
        case CompensationFailed():
            members["last_error"] = event.error
        case _:
            assert_never(event)
    return made(StepState, members)


def _rejection(step: StepState, event: StepRejected) -> str:
    """A no, where an earlier try may have worked, leaves the step in doubt."""
    said_done = step.callback is not None and step.callback.done
    return "reject_in_doubt" if step.doubtful or event.resent or said_done else event.trigger


def _called(members: Members, event: StepCalled, at: datetime) -> None:
    """One that had ended, and that a person wants tried again, has all its attempts once more."""
    if members["finished_at"] is not None:
        members["floor"] = event.attempt - 1
        members["callback"] = None
    members["attempts"] = event.attempt
    members["asking"] = False
    members["started_at"] = members["started_at"] or at
    members["finished_at"] = None
    members["next_attempt_at"] = None


def _succeeded(members: Members, event: StepSucceeded, at: datetime) -> None:
    members["finished_at"] = at
    members["next_attempt_at"] = None
    members["until"] = None
    members["output"] = event.output
    members["output_loss"] = event.output_loss
    members["last_error"] = event.error


def _undo_called(members: Members, event: CompensationCalled, before: StepStatus) -> None:
    if before is StepStatus.COMPENSATION_FAILED:
        members["compensation_floor"] = event.attempt - 1
    members["compensation_attempts"] = event.attempt
    members["next_attempt_at"] = None
    members["undo_again"] = False


def _ended(members: Members, event: StepRejected | StepUnknown | StepNotSent, at: datetime) -> None:
    members["finished_at"] = at
    members["next_attempt_at"] = None
    members["until"] = None
    members["last_error"] = event.error
    members["doubtful"] = members["doubtful"] or members["status"] is UNKNOWN


def _backed_off(members: Members, event: StepBackedOff) -> None:
    doubtful = event.resent or event.outcome is Outcome.UNKNOWN
    members |= {
        "attempts": event.attempt,
        "last_error": event.error,
        "asking": False,
        "last_outcome": event.outcome,
        "doubtful": members["doubtful"] or doubtful,
        "was_busy": members["was_busy"] or event.outcome is Outcome.BUSY,
        "next_attempt_at": event.until,
    }


def _found_not_done(members: Members, event: StepFoundNotDone, at: datetime) -> None:
    members |= {
        "attempts": event.attempt,
        "last_error": event.error,
        "asking": False,
        "last_outcome": Outcome.NOT_DONE,
        "doubtful": False,
        "was_busy": False,
        "next_attempt_at": at,
    }


def _waiting(members: Members, event: WaitStarted, at: datetime) -> None:
    members |= {
        "started_at": members["started_at"] or at,
        "finished_at": None,
        "next_attempt_at": event.until,
        "until": event.until,
        "signal": event.signal,
        "child_id": event.child_id,
    }


def _accepted(members: Members, event: StepAccepted) -> None:
    members |= {
        "asking": False,
        "polls": members["polls"] + 1,
        "until": event.until,
        "next_attempt_at": min(event.next_poll or event.until, event.until),
    }


def _resolved(members: Members, event: StepResolved, at: datetime) -> None:
    match event.verdict:
        case Resolution.DONE:
            members |= {"output": event.output, "finished_at": at, "last_error": None}
        case Resolution.NOT_DONE:
            members |= {"finished_at": at, "doubtful": False, "was_busy": False}
        case Resolution.UNDONE:
            pass


def _undo_backed_off(members: Members, event: CompensationBackedOff) -> None:
    members |= {
        "last_outcome": event.outcome,
        "last_error": event.error,
        "next_attempt_at": event.until,
    }
