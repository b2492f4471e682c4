"""Sagas by the page: what can be asked, and what is told of each.

Newest first, by the saga id; only the parked are a queue, in which the one that waits longest for
a person comes first. A page stays where it is whatever is started or moves on meanwhile.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from ..fsm.codec import format_time
from ..fsm.machines import SagaStatus
from ..fsm.strict_json import Json
from .place import Place


@dataclass(frozen=True, slots=True, kw_only=True)
class SagaFilter:
    """Everything given must hold. `entity_id` is compared as text; both times are excluded.

    `step` is the one it is at now; `error` is a part of its text, in large or small letters.
    """

    saga_type: str | None = None
    status: SagaStatus | None = None
    paused: bool | None = None
    step: str | None = None
    entity_id: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    started_after: datetime | None = None
    started_before: datetime | None = None
    error: str | None = None

    @property
    def is_queue(self) -> bool:
        return self.status is SagaStatus.PARKED

    def place_of(self, summary: SagaSummary) -> Place:
        """Where a page that ends with `summary` ends."""
        return Place(summary.saga_id, summary.parked_at if self.is_queue else None)


@dataclass(frozen=True, slots=True, kw_only=True)
class SagaSummary:
    """`version` is that of the last event folded into it."""

    saga_id: str
    saga_type: str
    definition_version: int
    entity_id: Json
    status: SagaStatus
    current_step: str | None
    error: str | None
    parked_at: datetime | None
    parked: Json
    paused: bool
    tags: Mapping[str, str]
    version: int
    created_at: datetime
    updated_at: datetime


class Listing(Protocol):
    async def refresh(self) -> None:
        """Include all that any node has recorded by now; of one that has died, what is taken over
        in time. Raises ProjectionUnavailable."""

    async def page(
        self, wanted: SagaFilter, after: Place | None, limit: int
    ) -> Sequence[SagaSummary]:
        """At most `limit` sagas, from behind the place `after`."""


def summary_view(summary: SagaSummary) -> dict[str, Json]:
    """One entry of `GET /sagas`."""
    return {
        "saga_id": summary.saga_id,
        "saga_type": summary.saga_type,
        "definition_version": summary.definition_version,
        "entity_id": summary.entity_id,
        "status": summary.status.value,
        "current_step": summary.current_step,
        "error": summary.error,
        "parked": summary.parked,
        "paused": summary.paused,
        "tags": dict(summary.tags),
        "version": summary.version,
        "created_at": format_time(summary.created_at),
        "updated_at": format_time(summary.updated_at),
    }
