"""Lists of sagas, read from the status view: as new as its last write, 100 ms behind at most."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from psycopg.types.json import Jsonb

from ..eventstore import LogUnavailable, Readers
from ..fsm.machines import SagaStatus
from .errors import ProjectionUnavailable
from .listing import SagaFilter, SagaSummary


class StatusListing:
    """Implements Listing. Raises ProjectionUnavailable."""

    def __init__(self, readers: Readers) -> None:
        self._readers = readers

    async def page(
        self, wanted: SagaFilter, after: str | None, limit: int
    ) -> Sequence[SagaSummary]:
        parameters = {
            "after": after,
            "saga_type": wanted.saga_type,
            "status": wanted.status and wanted.status.value,
            "entity_id": wanted.entity_id,
            "tags": Jsonb(dict(wanted.tags)) if wanted.tags else None,
            "started_after": wanted.started_after,
            "started_before": wanted.started_before,
            "limit": limit,
        }
        try:
            rows = await self._readers.fetch(SagaSummary, "read_page", parameters)
        except LogUnavailable as error:
            raise ProjectionUnavailable(str(error)) from error
        return [replace(row, status=SagaStatus(row.status)) for row in rows]
