"""Lists of sagas, read from the status view, which every node writes for the shards it drives."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Final

import psycopg
from psycopg.types.json import Jsonb

from ..eventstore import LogUnavailable, Readers
from ..fsm.machines import SagaStatus
from .errors import ProjectionUnavailable
from .listing import SagaFilter, SagaSummary
from .place import Place
from .tables import PROJECTION

# A node writes within 200 ms; the shards of one that was killed are taken over in 1.5 s. Who is
# away for longer may be so for good, and lists of all the others are not to wait for that.
OTHERS_WITHIN: Final = timedelta(seconds=3)
LOOK_AGAIN: Final = timedelta(milliseconds=20)


@dataclass(frozen=True, slots=True)
class Unfolded:
    """A shard, how far the view has come in it, and what was recorded last."""

    shard_id: int
    seq: int
    head: int


class StatusListing:
    """Implements Listing. Raises ProjectionUnavailable."""

    def __init__(self, readers: Readers, project: Callable[[], Awaitable[object]]) -> None:
        """`project` writes what this node has not written yet."""
        self._readers, self._project = readers, project

    async def refresh(self) -> None:
        loop = asyncio.get_running_loop()
        end = loop.time() + OTHERS_WITHIN.total_seconds()
        missing = await self._unfolded()
        await self._write()
        while (missing := await self._still(missing)) and loop.time() < end:
            await asyncio.sleep(LOOK_AGAIN.total_seconds())
            await self._write()

    async def _still(self, missing: Mapping[int, Unfolded]) -> Mapping[int, Unfolded]:
        """Those whose head, as it was then, the view has not yet come to."""
        behind = await self._unfolded() if missing else {}
        return {
            shard_id: one
            for shard_id, one in missing.items()
            if shard_id in behind and behind[shard_id].seq < one.head
        }

    async def _unfolded(self) -> Mapping[int, Unfolded]:
        parameters = {"projection": PROJECTION}
        try:
            found = await self._readers.fetch(Unfolded, "find_unfolded", parameters)
        except LogUnavailable as error:
            raise ProjectionUnavailable(str(error)) from error
        return {one.shard_id: one for one in found}

    async def _write(self) -> None:
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
            "paused": wanted.paused,
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
