"""What can be recorded of a saga: frozen facts in the past tense, each one transition of a machine.

An event says what happened, never what to do about it. When it was recorded stands beside it in
the log. A changed shape gets the next schema version and an upcaster in `codec.py`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import ClassVar, TypeAlias

from .outcome import Outcome, OutputLoss
from .strict_json import Json, JsonObject


class Cause(StrEnum):
    """Why a saga turned round."""

    STEP_FAILED = "step_failed"
    DEADLINE = "deadline"
    REQUEST = "request"


@dataclass(frozen=True, slots=True, kw_only=True)
class SagaEvent:
    """Fires `trigger` on the saga's machine."""

    trigger: ClassVar[str]
    schema_version: ClassVar[int] = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class StepEvent:
    """Fires `trigger` on the machine of `step`; attempts count from 1, each way for itself."""

    trigger: ClassVar[str]
    schema_version: ClassVar[int] = 1
    step: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SagaStarted(SagaEvent):
    """Always the first. `input` is what expressions read; a `start_at` is waited for."""

    saga_type: str
    definition_version: int
    entity_id: Json
    input: JsonObject
    tags: dict[str, str] = field(default_factory=dict)
    deadline: datetime | None = None
    start_at: datetime | None = None
    callback_url: str | None = None
    actor: str | None = None

    @property
    def trigger(self) -> str:  # type: ignore[override]
        return "begin" if self.start_at is None else "schedule"


@dataclass(frozen=True, slots=True, kw_only=True)
class SagaFellDue(SagaEvent):
    """The time that a start was put off to has come."""

    trigger = "begin"


@dataclass(frozen=True, slots=True, kw_only=True)
class StepCalled(StepEvent):
    """The intent: recorded before the request leaves."""

    trigger = "call"
    attempt: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StepSkipped(StepEvent):
    """Its condition does not hold, so it is left out."""

    trigger = "skip"


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


@dataclass(frozen=True, slots=True, kw_only=True)
class StepSucceeded(StepEvent):
    trigger = "succeed"
    attempt: int
    output: Json = None
    output_loss: OutputLoss | None = None
    error: str | None = None  # why the output was lost


@dataclass(frozen=True, slots=True, kw_only=True)
class StepRejected(StepEvent):
    """A definite no to this request. `resent`: a crash had sent it once before."""

    trigger = "reject"
    attempt: int
    error: str
    resent: bool = False


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


@dataclass(frozen=True, slots=True, kw_only=True)
class CompensationCalled(StepEvent):
    """The intent: recorded before the request leaves."""

    trigger = "compensate"
    attempt: int


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


@dataclass(frozen=True, slots=True, kw_only=True)
class CompensationRequested(SagaEvent):
    """Somebody asked while a pivot was in doubt: its outcome decides."""

    trigger = "ask_back"
    actor: str | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CompensationStarted(SagaEvent):
    trigger = "turn_back"
    cause: Cause
    error: str
    actor: str | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SagaCompleted(SagaEvent):
    trigger = "complete"


@dataclass(frozen=True, slots=True, kw_only=True)
class SagaCompensated(SagaEvent):
    trigger = "finish_undo"


@dataclass(frozen=True, slots=True, kw_only=True)
class SagaParked(SagaEvent):
    """`not_done` and `not_undone` name steps, in the order of the definition."""

    trigger = "park"
    why: str
    not_done: tuple[str, ...] = ()
    not_undone: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class CallbackDelivered(SagaEvent):
    """Whoever asked for it has been told that the saga rested at `rested_version`."""

    trigger = "tell"
    rested_version: int


SagaFact: TypeAlias = (
    SagaStarted
    | SagaFellDue
    | CompensationRequested
    | CompensationStarted
    | SagaCompleted
    | SagaCompensated
    | SagaParked
    | CallbackDelivered
)
UndoFact: TypeAlias = (
    CompensationCalled
    | CompensationSucceeded
    | CompensationCovered
    | CompensationBackedOff
    | CompensationFailed
)
StepFact: TypeAlias = (
    StepCalled
    | StepSkipped
    | StatusAsked
    | StepFoundNotDone
    | StepSucceeded
    | StepRejected
    | StepBackedOff
    | StepUnknown
    | StepNotSent
    | UndoFact
)
Event: TypeAlias = SagaFact | StepFact
