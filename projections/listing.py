"""Lists of sagas: filters, pages, and the summary of each saga.

Lists are newest first, by saga id. Parked sagas are a queue, longest waiting first. A page keeps
its place whatever is started or moves on meanwhile.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Final, Protocol, Self

import psycopg
from psycopg.types.json import Jsonb

from ..eventstore import LogUnavailable
from ..eventstore.postgres import ReaderPool
from ..fsm.codec import format_time
from ..fsm.formats.strict_json import Json
from ..fsm.machines import SagaStatus
from .errors import InvalidCursor, ProjectionUnavailable
from .status_table import PROJECTION


@dataclass(frozen=True, slots=True, kw_only=True)
class SagaFilter:
    """Conditions that must all hold. `entity_id` is compared as text; both times are excluded.

    `step` is the current step; `error` is a part of the error text, ignoring case.
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
    def is_parked_queue(self) -> bool:
        return self.status is SagaStatus.PARKED

    def cursor_after(self, summary: SagaSummary) -> PageCursor:
        """Return the cursor after `summary`, the last entry of a page."""
        return PageCursor(summary.saga_id, summary.parked_at if self.is_parked_queue else None)


@dataclass(frozen=True, slots=True, kw_only=True)
class SagaSummary:
    """A row of the status table. `version` is that of the last event that it covers."""

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
    """Lists of sagas."""

    async def refresh(self) -> None:
        """Wait until the lists include all events that any node has recorded before this call.

        Events of a node that has died count once its shards are taken over, within a limit of
        time. Raises ProjectionUnavailable.
        """

    async def page(
        self, saga_filter: SagaFilter, after: PageCursor | None, limit: int
    ) -> Sequence[SagaSummary]:
        """Return at most `limit` sagas after the cursor `after`."""


def summary_view(summary: SagaSummary) -> dict[str, Json]:
    """Return an entry of `GET /sagas`."""
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


TIME_PATTERN: Final = r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{6}Z"
SAGA_ID_PATTERN: Final = r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
PAGE_CURSOR_PATTERN: Final = rf"^(?:({TIME_PATTERN})_)?({SAGA_ID_PATTERN})$"


@dataclass(frozen=True, slots=True)
class PageCursor:
    """The key of the last saga of a page; the next page begins after it.

    Lists are ordered by saga id, which begins with the time of the start. The queue of parked sagas
    is ordered by the time of parking, then by id; only there `parked_at` is set. A cursor contains
    the whole key, so it stays valid when its saga moves on.
    """

    saga_id: str
    parked_at: datetime | None = None

    @classmethod
    def decode(cls, text: str, *, in_queue: bool) -> Self:
        """Parse a cursor. Raises InvalidCursor, also for a cursor of the other order."""
        parts = re.fullmatch(PAGE_CURSOR_PATTERN, text)
        if parts is None or (parts[1] is not None) is not in_queue:
            raise InvalidCursor
        try:
            return cls(parts[2], datetime.fromisoformat(parts[1]) if in_queue else None)
        except ValueError:
            raise InvalidCursor from None

    def encode(self) -> str:
        if self.parked_at is None:
            return self.saga_id
        return f"{format_time(self.parked_at)}_{self.saga_id}"


# A node writes within 200 ms; the shards of a killed node are taken over in 1.5 s. A node that is
# away for longer may be away for good, and lists of the others must not wait for it.
REFRESH_TIMEOUT: Final = timedelta(seconds=3)
REFRESH_POLL_INTERVAL: Final = timedelta(milliseconds=20)


@dataclass(frozen=True, slots=True)
class ShardLag:
    """A shard in which the status table is behind: its checkpoint and its newest seq."""

    shard_id: int
    seq: int
    head: int


class StatusListing:
    """Implements Listing. Raises ProjectionUnavailable."""

    def __init__(self, readers: ReaderPool, project: Callable[[], Awaitable[object]]) -> None:
        """`project` flushes the projector of this node."""
        self._readers, self._flush = readers, project

    async def refresh(self) -> None:
        loop = asyncio.get_running_loop()
        end = loop.time() + REFRESH_TIMEOUT.total_seconds()
        missing = await self._lagging_shards()
        await self._flush_own()
        while (missing := await self._still_behind(missing)) and loop.time() < end:
            await asyncio.sleep(REFRESH_POLL_INTERVAL.total_seconds())
            await self._flush_own()

    async def _still_behind(self, missing: Mapping[int, ShardLag]) -> Mapping[int, ShardLag]:
        """Return the shards of `missing` whose checkpoint is still before the head noted there."""
        behind = await self._lagging_shards() if missing else {}
        return {
            shard_id: lag
            for shard_id, lag in missing.items()
            if shard_id in behind and behind[shard_id].seq < lag.head
        }

    async def _lagging_shards(self) -> Mapping[int, ShardLag]:
        parameters = {"projection": PROJECTION}
        try:
            lags = await self._readers.fetch(ShardLag, "find_unfolded", parameters)
        except LogUnavailable as error:
            raise ProjectionUnavailable(str(error)) from error
        return {lag.shard_id: lag for lag in lags}

    async def _flush_own(self) -> None:
        try:
            await self._flush()
        except (psycopg.Error, OSError, LogUnavailable) as error:
            raise ProjectionUnavailable(str(error)) from error

    async def page(
        self, saga_filter: SagaFilter, after: PageCursor | None, limit: int
    ) -> Sequence[SagaSummary]:
        parameters = {
            "after": after and after.saga_id,
            "parked_at": after and after.parked_at,
            "saga_type": saga_filter.saga_type,
            "status": saga_filter.status and saga_filter.status.value,
            "paused": saga_filter.paused,
            "step": saga_filter.step,
            "entity_id": saga_filter.entity_id,
            "tags": Jsonb(dict(saga_filter.tags)) if saga_filter.tags else None,
            "started_after": saga_filter.started_after,
            "started_before": saga_filter.started_before,
            "error": saga_filter.error,
            "limit": limit,
        }
        name = "read_queue" if saga_filter.is_parked_queue else "read_page"
        try:
            rows = await self._readers.fetch(SagaSummary, name, parameters)
        except LogUnavailable as error:
            raise ProjectionUnavailable(str(error)) from error
        return [_to_summary(row) for row in rows]


def _to_summary(row: SagaSummary) -> SagaSummary:
    """Convert the values that the database driver has returned for ids and enumerations."""
    return replace(row, saga_id=str(row.saga_id), status=SagaStatus(row.status))
