"""What can happen to a saga from outside, as values that `decide` is given."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TypeAlias

from .events import Parent, Resolution
from .frozen import quickly_built
from .machines import SagaStatus
from .outcome import Direction, Verdict
from .strict_json import Json, JsonObject


@dataclass(frozen=True, slots=True, kw_only=True)
class StartRequested:
    """`deadline` is a time, or a duration from the start; it comes before the definition's."""

    entity_id: Json
    input: JsonObject
    tags: Mapping[str, str] = field(default_factory=dict)
    deadline: datetime | timedelta | None = None
    start_at: datetime | None = None
    callback_url: str | None = None
    actor: str | None = None
    parent: Parent | None = None


@quickly_built
@dataclass(frozen=True, slots=True, kw_only=True)
class CallAnswered:
    """`resent`: this attempt was sent once before, by a process that died before the answer."""

    step: str
    direction: Direction
    attempt: int
    verdict: Verdict
    resent: bool = False


@dataclass(frozen=True, slots=True)
class TimePassed:
    """Something may have fallen due."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CallbackTold:
    """The callback was told of the rest at that version."""

    rested_version: int


@dataclass(frozen=True, slots=True)
class ParticipantBack:
    """A participant answers again: what was held back from it need not wait any longer."""

    participant: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StepReported:
    """A callback of the participant: the step that it had accepted is done, or will not be."""

    step: str
    done: bool
    output: Json = None
    error: str = ""
    actor: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ChildRested:
    """The child saga that a step is, as it rests. `error` is why it was compensated."""

    step: str
    status: SagaStatus
    outputs: JsonObject
    error: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ChildRefused:
    """The child saga that a step is could not be started, or cannot be undone."""

    step: str
    error: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What a person asks of a saga."""

    actor: str | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CompensationAsked(Asked):
    """Undo it, whether it is under way or completed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelAsked(Asked):
    """Undo it, if it is under way."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryAsked(Asked):
    """Leave the parking place, or skip the wait for the next try."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PauseAsked(Asked):
    pass


@dataclass(frozen=True, slots=True, kw_only=True)
class ResumeAsked(Asked):
    pass


@dataclass(frozen=True, slots=True, kw_only=True)
class AbandonAsked(Asked):
    """`reason` is never empty."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SkipAsked(Asked):
    step: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ResolveAsked(Asked):
    step: str
    verdict: Resolution
    evidence: str
    output: Json = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SignalSent(Asked):
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


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageDelivered:
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
    | CallbackTold
    | Verb
    | MessageDelivered
)
