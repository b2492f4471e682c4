"""What can be recorded of a step, there and back: each fires a trigger of the step's machine."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import ClassVar

from .frozen import quickly_built
from .outcome import Outcome, OutputLoss
from .strict_json import Json


@dataclass(frozen=True, slots=True, kw_only=True)
class StepEvent:
    """Fires `trigger` on the machine of `step`; attempts count from 1, each way for itself."""

    trigger: ClassVar[str]
    schema_version: ClassVar[int] = 1
    step: str


class Resolution(StrEnum):
    """What a person found out about a step."""

    DONE = "done"
    NOT_DONE = "not_done"
    UNDONE = "undone"


@quickly_built
@dataclass(frozen=True, slots=True, kw_only=True)
class StepCalled(StepEvent):
    """The intent: recorded before the request leaves."""

    trigger = "call"
    attempt: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StepSkipped(StepEvent):
    """Left out: its condition does not hold, or somebody has said so."""

    trigger = "skip"
    actor: str | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitStarted(StepEvent):
    """The step waits: for the time `until`, for a signal, or for a child saga to rest."""

    trigger = "wait"
    until: datetime | None = None
    signal: str | None = None
    child_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StepAccepted(StepEvent):
    """The participant will do it: a callback or polling completes it, at the latest `until`."""

    trigger = "accept"
    attempt: int
    until: datetime
    next_poll: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CallbackReceived(StepEvent):
    """A callback that came before the reply to its call: it counts once the call is accepted."""

    trigger = "hear"
    done: bool
    output: Json = None
    error: str | None = None
    actor: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LateReplyIgnored(StepEvent):
    """It lost a race: another event of the step was in the log first."""

    trigger = "ignore"
    what: str
    error: str | None = None
    actor: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StepResolved(StepEvent):
    """A person's verdict, with what it rests on."""

    verdict: Resolution
    evidence: str
    output: Json = None
    actor: str | None = None
    reason: str | None = None

    @property
    def trigger(self) -> str:  # type: ignore[override]
        return f"resolve_{self.verdict}"


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusAsked(StepEvent):
    """The participant is asked what became of an attempt whose outcome is unknown."""

    trigger = "ask"
    attempt: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StepFoundNotDone(StepEvent):
    """The participant says that it has not happened: whatever was in doubt is no more."""

    trigger = "back_off"
    attempt: int
    error: str


@quickly_built
@dataclass(frozen=True, slots=True, kw_only=True)
class StepSucceeded(StepEvent):
    trigger = "succeed"
    attempt: int
    output: Json = None
    output_loss: OutputLoss | None = None
    error: str | None = None  # why the output was lost
    signal: str | None = None  # whose body is the output
    actor: str | None = None  # of a callback


@quickly_built
@dataclass(frozen=True, slots=True, kw_only=True)
class StepRejected(StepEvent):
    """A definite no to this request. `resent`: a crash had sent it once before."""

    trigger = "reject"
    attempt: int
    error: str
    resent: bool = False
    actor: str | None = None  # of a callback


@dataclass(frozen=True, slots=True, kw_only=True)
class StepBackedOff(StepEvent):
    """The wake-up of the next try is recorded with it. `resent` as of a rejection."""

    trigger = "back_off"
    attempt: int
    outcome: Outcome
    error: str
    until: datetime
    resent: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class StepUnknown(StepEvent):
    """No further try: it may or may not have happened."""

    trigger = "lose"
    attempt: int
    error: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StepNotSent(StepEvent):
    """No further try: it certainly did not happen."""

    trigger = "give_up"
    attempt: int
    error: str


@quickly_built
@dataclass(frozen=True, slots=True, kw_only=True)
class CompensationCalled(StepEvent):
    """The intent: recorded before the request leaves."""

    trigger = "compensate"
    attempt: int


@quickly_built
@dataclass(frozen=True, slots=True, kw_only=True)
class CompensationSucceeded(StepEvent):
    trigger = "undo"
    attempt: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CompensationCovered(StepEvent):
    """The compensation of another step has undone this one as well."""

    trigger = "cover"
    by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CompensationBackedOff(StepEvent):
    trigger = "back_off_undo"
    attempt: int
    outcome: Outcome
    error: str
    until: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class CompensationFailed(StepEvent):
    """Refused, or out of attempts."""

    trigger = "fail_undo"
    attempt: int
    error: str
