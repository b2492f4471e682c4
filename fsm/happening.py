"""What can happen to a saga from outside, as values that `decide` is given."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TypeAlias

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
class CompensationAsked:
    actor: str | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CallbackTold:
    """The callback was told of the rest at that version."""

    rested_version: int


Happening: TypeAlias = CallAnswered | TimePassed | CompensationAsked | CallbackTold
