"""What can be recorded of a step, there and back: each fires a trigger of the step's machine."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import ClassVar

from msgspec import Struct

from .outcome import Outcome, OutputLoss
from .strict_json import Json


class StepEvent(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Fires `trigger` on the machine of `step`; attempts count from 1, each way for itself."""

    trigger: ClassVar[str]
    schema_version: ClassVar[int] = 1
    step: str


class Resolution(StrEnum):
    """What a person found out about a step."""

    DONE = "done"
    NOT_DONE = "not_done"
    UNDONE = "undone"


class StepCalled(StepEvent, frozen=True, kw_only=True):
    """The intent: recorded before the request leaves. A done step is called for its output."""

    trigger = "call"
    attempt: int


class StepSkipped(StepEvent, frozen=True, kw_only=True):
    """Left out: its condition does not hold, or somebody has said so."""

    trigger = "skip"
    actor: str | None = None
    reason: str | None = None


class WaitStarted(StepEvent, frozen=True, kw_only=True):
    """The step waits: for the time `until`, for a signal, or for a child saga to rest."""

    trigger = "wait"
    until: datetime | None = None
    signal: str | None = None
    child_id: str | None = None


class StepAccepted(StepEvent, frozen=True, kw_only=True):
    """The participant will do it: a callback or polling completes it, at the latest `until`."""

    trigger = "accept"
    attempt: int
    until: datetime
    next_poll: datetime | None = None
    polls: int = 0  # how often the participant has been called or asked; 0: once more


class CallbackReceived(StepEvent, frozen=True, kw_only=True):
    """A callback that came before the reply to its call: it counts once the call is accepted."""

    trigger = "hear"
    done: bool
    output: Json = None
    error: str | None = None
    actor: str | None = None


class LateReplyIgnored(StepEvent, frozen=True, kw_only=True):
    """It lost a race: another event of the step was in the log first."""

    trigger = "ignore"
    what: str
    error: str | None = None
    actor: str | None = None


class StepResolved(StepEvent, frozen=True, kw_only=True):
    """A person's verdict, with what it rests on."""

    verdict: Resolution
    evidence: str
    output: Json = None
    output_is_null: bool = False
    actor: str | None = None
    reason: str | None = None

    @property
    def trigger(self) -> str:  # type: ignore[override]
        return f"resolve_{self.verdict}"


class StatusAsked(StepEvent, frozen=True, kw_only=True):
    """The participant is asked what became of an attempt whose outcome is unknown."""

    trigger = "ask"
    attempt: int


class StepFoundNotDone(StepEvent, frozen=True, kw_only=True):
    """The participant says that it has not happened: whatever was in doubt is no more."""

    trigger = "back_off"
    attempt: int
    error: str


class StepSucceeded(StepEvent, frozen=True, kw_only=True):
    trigger = "succeed"
    attempt: int
    output: Json = None
    output_is_null: bool = False  # null is what it said: a null that is left out is no output
    output_loss: OutputLoss | None = None
    error: str | None = None  # why the output was lost
    signal: str | None = None  # whose body is the output
    actor: str | None = None  # of a callback


class OutputNotReceived(StepEvent, frozen=True, kw_only=True):
    """The call of a done step was repeated for its output, and the answer brought none."""

    trigger = "miss"
    attempt: int
    error: str


class StepRejected(StepEvent, frozen=True, kw_only=True):
    """A definite no to this request. `resent`: a crash had sent it once before."""

    trigger = "reject"
    attempt: int
    error: str
    resent: bool = False
    actor: str | None = None  # of a callback


class StepBackedOff(StepEvent, frozen=True, kw_only=True):
    """The wake-up of the next try is recorded with it. `resent` as of a rejection.

    `times`: so often in a row an answer has come that uses no attempt up. Not each is recorded.
    """

    trigger = "back_off"
    attempt: int
    outcome: Outcome
    error: str
    until: datetime
    resent: bool = False
    times: int = 1


class StepUnknown(StepEvent, frozen=True, kw_only=True):
    """No further try: it may or may not have happened."""

    trigger = "lose"
    attempt: int
    error: str


class StepNotSent(StepEvent, frozen=True, kw_only=True):
    """No further try: it certainly did not happen."""

    trigger = "give_up"
    attempt: int
    error: str


class CompensationCalled(StepEvent, frozen=True, kw_only=True):
    """The intent: recorded before the request leaves."""

    trigger = "compensate"
    attempt: int


class CompensationSucceeded(StepEvent, frozen=True, kw_only=True):
    trigger = "undo"
    attempt: int


class CompensationCovered(StepEvent, frozen=True, kw_only=True):
    """The compensation of another step has undone this one as well."""

    trigger = "cover"
    by: str


class CompensationBackedOff(StepEvent, frozen=True, kw_only=True):
    """`times` as of an action that backs off."""

    trigger = "back_off_undo"
    attempt: int
    outcome: Outcome
    error: str
    until: datetime
    times: int = 1


class CompensationFailed(StepEvent, frozen=True, kw_only=True):
    """Refused, or out of attempts."""

    trigger = "fail_undo"
    attempt: int
    error: str
