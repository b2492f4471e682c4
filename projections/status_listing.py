"""Lists of sagas, read from the status view: as new as its last write, 100 ms behind for a saga
that rests, 200 ms for one that is under way."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace

import psycopg
from psycopg.types.json import Jsonb

from ..eventstore import LogUnavailable, Readers
from ..fsm.machines import SagaStatus
from .errors import ProjectionUnavailable
from .listing import SagaFilter, SagaSummary
from .place import Place


class StatusListing:
    """Implements Listing. Raises ProjectionUnavailable."""

    def __init__(self, readers: Readers, project: Callable[[], Awaitable[object]]) -> None:
        """`project` writes what has not been written yet."""
        self._readers, self._project = readers, project

    async def refresh(self) -> None:
        try:
            await self._project()
        except (psycopg.Error, OSError, LogUnavailable) as error:
            raise ProjectionUnavailable(str(error)) from error

    async def page(
        self, wanted: SagaFilter, after: Place | None, limit: int
    ) -> Sequence[SagaSummary]:
        parameters = {
            "after": after and after.saga_id,
            "parked_at": after and after.parked_at,
            "saga_type": wanted.saga_type,
            "status": wanted.status and wanted.status.value,
            "step": wanted.step,
            "entity_id": wanted.entity_id,
            "tags": Jsonb(dict(wanted.tags)) if wanted.tags else None,
            "started_after": wanted.started_after,
            "started_before": wanted.started_before,
            "error": wanted.error,
            "limit": limit,
        }
        name = "read_queue" if wanted.is_queue else "read_page"
        try:
            rows = await self._readers.fetch(SagaSummary, name, parameters)
        except LogUnavailable as error:
            raise ProjectionUnavailable(str(error)) from error
        return [_read(row) for row in rows]


def _read(row: SagaSummary) -> SagaSummary:
    """As the driver has read it, with its own kinds of names."""
    return replace(row, saga_id=str(row.saga_id), status=SagaStatus(row.status))
