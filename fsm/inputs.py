"""The inputs of `decide`: what can happen to a saga from outside."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from typing import ClassVar, TypeAlias

from msgspec import Struct, field

from .call_outcome import CallOutcome, Direction
from .events import Parent, Resolution
from .formats.strict_json import Json, JsonObject
from .machines import SagaStatus


class StartSaga(Struct, frozen=True, gc=False, kw_only=True):
    """A request for a new saga. Its `deadline`, a time or a duration, replaces the definition's."""

    entity_id: Json
    input: JsonObject
    tags: Mapping[str, str] = field(default_factory=dict)
    deadline: datetime | timedelta | None = None
    start_at: datetime | None = None
    callback_url: str | None = None
    actor: str | None = None
    parent: Parent | None = None


class CallCompleted(Struct, frozen=True, gc=False, kw_only=True):
    """A call has ended. `resent`: a process that crashed had sent the same attempt before."""

    step: str
    direction: Direction
    attempt: int
    outcome: CallOutcome
    resent: bool = False


class TimerFired(Struct, frozen=True, gc=False):
    """The clock has moved: timers of the saga may be due."""


class ProcessStops(Struct, frozen=True, gc=False):
    """The process is about to stop: what it has not recorded yet must be recorded."""


class WebhookDelivered(Struct, frozen=True, gc=False, kw_only=True):
    """The receiver of `callback_url` has acknowledged that the saga rested at that version."""

    rest_version: int


class CircuitClosed(Struct, frozen=True, gc=False):
    """A participant responds again: calls that were withheld from it are due."""

    participant: str


class StepCallback(Struct, frozen=True, gc=False, kw_only=True):
    """A callback of the participant: the accepted step is done, or has failed."""

    step: str
    done: bool
    output: Json = None
    error: str = ""
    actor: str | None = None


class ChildFinished(Struct, frozen=True, gc=False, kw_only=True):
    """The child saga of a step has come to rest. `error` is why it was compensated."""

    step: str
    status: SagaStatus
    outputs: JsonObject
    error: str


class ChildInstructionRefused(Struct, frozen=True, gc=False, kw_only=True):
    """The child saga of a step could not be started, or cannot be compensated."""

    step: str
    error: str


class BaseCommand(Struct, frozen=True, gc=False, kw_only=True):
    """A command of an operator, with the members that all have."""

    verb: ClassVar[str]

    actor: str | None = None
    reason: str | None = None


class Compensate(BaseCommand, frozen=True, kw_only=True):
    """Compensate the saga, whether it is under way or completed."""

    verb = "compensate"


class Cancel(BaseCommand, frozen=True, kw_only=True):
    """Compensate the saga if it is under way."""

    verb = "cancel"


class Retry(BaseCommand, frozen=True, kw_only=True):
    """Retry a parked saga, or skip the current back-off; with a `step`, of that step alone.

    The call of a done step is repeated for its missing output.
    """

    verb = "retry"
    step: str | None = None


class Pause(BaseCommand, frozen=True, kw_only=True):
    """Send nothing new. `by_parent`: the parent of the saga is paused."""

    verb = "pause"
    by_parent: bool = False


class Resume(BaseCommand, frozen=True, kw_only=True):
    """End the pause. `by_parent`: only the one of the parent; an operator ends both."""

    verb = "resume"
    by_parent: bool = False


class ChildPolicy(StrEnum):
    """The treatment of active child sagas when their parent is abandoned."""

    LEAVE = "leave"
    CANCEL = "cancel"


class Abandon(BaseCommand, frozen=True, kw_only=True):
    """Give the saga up. `reason` is never empty; `children` is required if some are active."""

    verb = "abandon"
    children: ChildPolicy | None = None


class SkipStep(BaseCommand, frozen=True, kw_only=True):
    """Leave a pending step out."""

    verb = "skip"
    step: str


class ResolveStep(BaseCommand, frozen=True, kw_only=True):
    """Record the outcome of a step as established outside.

    `done` with an output also supplies the missing output of a done step.
    """

    verb = "resolve"
    step: str
    verdict: Resolution
    evidence: str
    output: Json = None
    output_is_null: bool = False  # null was given as the output; otherwise None means that none was


class SendSignal(BaseCommand, frozen=True, kw_only=True):
    """A signal for a step that waits for it, now or later; with a `key` it counts once."""

    verb = "signal"
    name: str
    body: Json = None
    key: str | None = None


OperatorCommand: TypeAlias = (
    Compensate | Cancel | Retry | Pause | Resume | Abandon | SkipStep | ResolveStep | SendSignal
)


class ForwardedInput(Struct, frozen=True, gc=False, kw_only=True):
    """An input that another node forwards, and may forward again with the same id."""

    message_id: str
    input: StepCallback | OperatorCommand


Input: TypeAlias = (
    CallCompleted
    | TimerFired
    | CircuitClosed
    | StepCallback
    | ChildFinished
    | ChildInstructionRefused
    | ProcessStops
    | WebhookDelivered
    | OperatorCommand
    | ForwardedInput
)
