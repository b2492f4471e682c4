"""Sagas by the page, newest first: what can be asked, and what is told of each.

Pages follow the saga id, which begins with the time of the start, so a page stays where it is
whatever is started or moves on meanwhile.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from ..fsm.codec import format_time
from ..fsm.machines import SagaStatus
from ..fsm.strict_json import Json


@dataclass(frozen=True, slots=True, kw_only=True)
class SagaFilter:
    """Everything given must hold. `entity_id` is compared as text; both times are excluded."""

    saga_type: str | None = None
    status: SagaStatus | None = None
    entity_id: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    started_after: datetime | None = None
    started_before: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SagaSummary:
    """`version` is that of the last event folded into it."""

    saga_id: str
    saga_type: str
    definition_version: int
    entity_id: Json
    status: SagaStatus
    error: str | None
    tags: Mapping[str, str]
    version: int
    created_at: datetime
    updated_at: datetime


class Listing(Protocol):
    async def refresh(self) -> None:
        """Include all that has been recorded by now. Raises ProjectionUnavailable."""

    async def page(
        self, wanted: SagaFilter, after: str | None, limit: int
    ) -> Sequence[SagaSummary]:
        """At most `limit` sagas, by descending id, from below the saga id `after`."""


def summary_view(summary: SagaSummary) -> dict[str, Json]:
    """One entry of `GET /sagas`."""
    return {
        "saga_id": summary.saga_id,
        "saga_type": summary.saga_type,
        "definition_version": summary.definition_version,
        "entity_id": summary.entity_id,
        "status": summary.status.value,
        "error": summary.error,
        "tags": dict(summary.tags),
        "version": summary.version,
        "created_at": format_time(summary.created_at),
        "updated_at": format_time(summary.updated_at),
    }
