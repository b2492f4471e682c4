"""Sagas by the page: what can be asked, and what is told of each.

Newest first, by the saga id; only the parked are a queue, in which the one that waits longest for
a person comes first. A page stays where it is whatever is started or moves on meanwhile.
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

from ..eventstore.errors import LogUnavailable
from ..eventstore.postgres.reader_pool import ReaderPool
from ..fsm.codec import format_time
from ..fsm.formats.strict_json import Json
from ..fsm.machines import SagaStatus
from .errors import InvalidCursor, ProjectionUnavailable
from .status_table import PROJECTION


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
    def is_parked_queue(self) -> bool:
        return self.status is SagaStatus.PARKED

    def cursor_after(self, summary: SagaSummary) -> PageCursor:
        """Where a page that ends with `summary` ends."""
        return PageCursor(summary.saga_id, summary.parked_at if self.is_parked_queue else None)


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
        self, wanted: SagaFilter, after: PageCursor | None, limit: int
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


TIME_PATTERN: Final = r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{6}Z"
SAGA_ID_PATTERN: Final = r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
PAGE_CURSOR_PATTERN: Final = rf"^(?:({TIME_PATTERN})_)?({SAGA_ID_PATTERN})$"


@dataclass(frozen=True, slots=True)
class PageCursor:
    """`parked_at` only in the queue."""

    saga_id: str
    parked_at: datetime | None = None

    @classmethod
    def decode(cls, text: str, *, in_queue: bool) -> Self:
        """Raises InvalidCursor, for one of the other order too."""
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


# A node writes within 200 ms; the shards of one that was killed are taken over in 1.5 s. Who is
# away for longer may be so for good, and lists of all the others are not to wait for that.
REFRESH_TIMEOUT: Final = timedelta(seconds=3)
REFRESH_POLL_INTERVAL: Final = timedelta(milliseconds=20)


@dataclass(frozen=True, slots=True)
class ShardLag:
    """A shard, how far the view has come in it, and what was recorded last."""

    shard_id: int
    seq: int
    head: int


class StatusListing:
    """Implements Listing. Raises ProjectionUnavailable."""

    def __init__(self, readers: ReaderPool, project: Callable[[], Awaitable[object]]) -> None:
        """`project` writes what this node has not written yet."""
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
        """Those whose head, as it was then, the view has not yet come to."""
        behind = await self._lagging_shards() if missing else {}
        return {
            shard_id: one
            for shard_id, one in missing.items()
            if shard_id in behind and behind[shard_id].seq < one.head
        }

    async def _lagging_shards(self) -> Mapping[int, ShardLag]:
        parameters = {"projection": PROJECTION}
        try:
            found = await self._readers.fetch(ShardLag, "find_unfolded", parameters)
        except LogUnavailable as error:
            raise ProjectionUnavailable(str(error)) from error
        return {one.shard_id: one for one in found}

    async def _flush_own(self) -> None:
        try:
            await self._flush()
        except (psycopg.Error, OSError, LogUnavailable) as error:
            raise ProjectionUnavailable(str(error)) from error

    async def page(
        self, wanted: SagaFilter, after: PageCursor | None, limit: int
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
        name = "read_queue" if wanted.is_parked_queue else "read_page"
        try:
            rows = await self._readers.fetch(SagaSummary, name, parameters)
        except LogUnavailable as error:
            raise ProjectionUnavailable(str(error)) from error
        return [_to_summary(row) for row in rows]


def _to_summary(row: SagaSummary) -> SagaSummary:
    """As the driver has read it, with its own kinds of names."""
    return replace(row, saga_id=str(row.saga_id), status=SagaStatus(row.status))
