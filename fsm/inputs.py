"""The inputs of `decide`: what can happen to a saga from outside."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TypeAlias

from msgspec import Struct, field

from .call_outcome import CallOutcome, Direction
from .events import Parent, Resolution
from .formats.strict_json import Json, JsonObject
from .machines import SagaStatus


class StartSaga(Struct, frozen=True, kw_only=True):
    """`deadline` is a time, or a duration from the start; it comes before the definition's."""

    entity_id: Json
    input: JsonObject
    tags: Mapping[str, str] = field(default_factory=dict)
    deadline: datetime | timedelta | None = None
    start_at: datetime | None = None
    callback_url: str | None = None
    actor: str | None = None
    parent: Parent | None = None


class CallCompleted(Struct, frozen=True, kw_only=True):
    """`resent`: this attempt was sent once before, by a process that died before the answer."""

    step: str
    direction: Direction
    attempt: int
    outcome: CallOutcome
    resent: bool = False


class TimerFired(Struct, frozen=True):
    """Something may have fallen due."""


class ProcessStops(Struct, frozen=True):
    """Another process goes on with the saga: it is to know all that this one knows."""


class WebhookDelivered(Struct, frozen=True, kw_only=True):
    """The callback was told of the rest at that version."""

    rest_version: int


class CircuitClosed(Struct, frozen=True):
    """A participant answers again: what was held back from it need not wait any longer."""

    participant: str


class StepCallback(Struct, frozen=True, kw_only=True):
    """A callback of the participant: the step that it had accepted is done, or will not be."""

    step: str
    done: bool
    output: Json = None
    error: str = ""
    actor: str | None = None


class ChildFinished(Struct, frozen=True, kw_only=True):
    """The child saga that a step is, as it rests. `error` is why it was compensated."""

    step: str
    status: SagaStatus
    outputs: JsonObject
    error: str


class ChildInstructionRefused(Struct, frozen=True, kw_only=True):
    """The child saga that a step is could not be started, or cannot be undone."""

    step: str
    error: str


class BaseCommand(Struct, frozen=True, kw_only=True):
    """What a person asks of a saga."""

    actor: str | None = None
    reason: str | None = None


class Compensate(BaseCommand, frozen=True, kw_only=True):
    """Undo it, whether it is under way or completed."""


class Cancel(BaseCommand, frozen=True, kw_only=True):
    """Undo it, if it is under way."""


class Retry(BaseCommand, frozen=True, kw_only=True):
    """Leave the parking place, or skip the wait for the next try; with a `step`, of that one alone.

    Of a done step whose output is missing the call is repeated.
    """

    step: str | None = None


class Pause(BaseCommand, frozen=True, kw_only=True):
    """`by_parent`: its parent is paused."""

    by_parent: bool = False


class Resume(BaseCommand, frozen=True, kw_only=True):
    """`by_parent`: its parent goes on, which leaves a pause of its own. An operator ends both."""

    by_parent: bool = False


class ChildPolicy(StrEnum):
    """What becomes of the children under way of a saga that is abandoned."""

    LEAVE = "leave"
    CANCEL = "cancel"


class Abandon(BaseCommand, frozen=True, kw_only=True):
    """`reason` is never empty; `children` is needed if some are under way."""

    children: ChildPolicy | None = None


class SkipStep(BaseCommand, frozen=True, kw_only=True):
    step: str


class ResolveStep(BaseCommand, frozen=True, kw_only=True):
    """`done` with an output also supplies that of a done step, where it is missing."""

    step: str
    verdict: Resolution
    evidence: str
    output: Json = None
    output_is_null: bool = False  # null was given as the output; else none was


class SendSignal(BaseCommand, frozen=True, kw_only=True):
    name: str
    body: Json = None
    key: str | None = None


OperatorCommand: TypeAlias = (
    Compensate | Cancel | Retry | Pause | Resume | Abandon | SkipStep | ResolveStep | SendSignal
)


class ForwardedInput(Struct, frozen=True, kw_only=True):
    """Through another node, and maybe not for the first time."""

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
