"""What can happen to a saga from outside, as values that `decide` is given."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TypeAlias

from msgspec import Struct, field

from .events import Parent, Resolution
from .machines import SagaStatus
from .outcome import Direction, Verdict
from .strict_json import Json, JsonObject


class StartRequested(Struct, frozen=True, kw_only=True):
    """`deadline` is a time, or a duration from the start; it comes before the definition's."""

    entity_id: Json
    input: JsonObject
    tags: Mapping[str, str] = field(default_factory=dict)
    deadline: datetime | timedelta | None = None
    start_at: datetime | None = None
    callback_url: str | None = None
    actor: str | None = None
    parent: Parent | None = None


class CallAnswered(Struct, frozen=True, kw_only=True):
    """`resent`: this attempt was sent once before, by a process that died before the answer."""

    step: str
    direction: Direction
    attempt: int
    verdict: Verdict
    resent: bool = False


class TimePassed(Struct, frozen=True):
    """Something may have fallen due."""


class ProcessLeaves(Struct, frozen=True):
    """Another process goes on with the saga: it is to know all that this one knows."""


class CallbackTold(Struct, frozen=True, kw_only=True):
    """The callback was told of the rest at that version."""

    rested_version: int


class ParticipantBack(Struct, frozen=True):
    """A participant answers again: what was held back from it need not wait any longer."""

    participant: str


class StepReported(Struct, frozen=True, kw_only=True):
    """A callback of the participant: the step that it had accepted is done, or will not be."""

    step: str
    done: bool
    output: Json = None
    error: str = ""
    actor: str | None = None


class ChildRested(Struct, frozen=True, kw_only=True):
    """The child saga that a step is, as it rests. `error` is why it was compensated."""

    step: str
    status: SagaStatus
    outputs: JsonObject
    error: str


class ChildRefused(Struct, frozen=True, kw_only=True):
    """The child saga that a step is could not be started, or cannot be undone."""

    step: str
    error: str


class Asked(Struct, frozen=True, kw_only=True):
    """What a person asks of a saga."""

    actor: str | None = None
    reason: str | None = None


class CompensationAsked(Asked, frozen=True, kw_only=True):
    """Undo it, whether it is under way or completed."""


class CancelAsked(Asked, frozen=True, kw_only=True):
    """Undo it, if it is under way."""


class RetryAsked(Asked, frozen=True, kw_only=True):
    """Leave the parking place, or skip the wait for the next try; with a `step`, of that one alone.

    Of a done step whose output is missing the call is repeated.
    """

    step: str | None = None


class PauseAsked(Asked, frozen=True, kw_only=True):
    """`by_parent`: its parent is paused."""

    by_parent: bool = False


class ResumeAsked(Asked, frozen=True, kw_only=True):
    """`by_parent`: its parent goes on, which leaves a pause of its own. An operator ends both."""

    by_parent: bool = False


class ChildPolicy(StrEnum):
    """What becomes of the children under way of a saga that is abandoned."""

    LEAVE = "leave"
    CANCEL = "cancel"


class AbandonAsked(Asked, frozen=True, kw_only=True):
    """`reason` is never empty; `children` is needed if some are under way."""

    children: ChildPolicy | None = None


class SkipAsked(Asked, frozen=True, kw_only=True):
    step: str


class ResolveAsked(Asked, frozen=True, kw_only=True):
    """`done` with an output also supplies that of a done step, where it is missing."""

    step: str
    verdict: Resolution
    evidence: str
    output: Json = None
    output_is_null: bool = False  # null was given as the output; else none was


class SignalSent(Asked, frozen=True, kw_only=True):
    name: str
    body: Json = None
    key: str | None = None


Verb: TypeAlias = (
    CompensationAsked
    | CancelAsked
    | RetryAsked
    | PauseAsked
    | ResumeAsked
    | AbandonAsked
    | SkipAsked
    | ResolveAsked
    | SignalSent
)


class MessageDelivered(Struct, frozen=True, kw_only=True):
    """Through another node, and maybe not for the first time."""

    message_id: str
    happening: StepReported | Verb


Happening: TypeAlias = (
    CallAnswered
    | TimePassed
    | ParticipantBack
    | StepReported
    | ChildRested
    | ChildRefused
    | ProcessLeaves
    | CallbackTold
    | Verb
    | MessageDelivered
)
