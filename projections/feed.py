"""The whole log by cursor: the events of all sagas, each once, those of one shard in order.

    cursor ──> a window of each shard, up to its end ──> what is wanted of it, merged by time
       ^                                                        |
       └────────────── one of a full page, or the next window <─┘

A page is full in events or in bytes.

The end of a shard is its newest event. If sagas of one type are wanted, it is what the status view
has folded, because only that knows the type: what is not folded yet is left for later, not skipped.
Shards are merged by when their events were recorded; only the order within a shard is promised.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from ..eventstore import (
    PAGE_BYTES,
    SHARDS,
    EventLog,
    LogUnavailable,
    Readers,
    RecordedEvent,
    is_cut,
)
from ..fsm.codec import stored_names
from ..fsm.strict_json import JsonObject
from .cursor import Cursor
from .errors import ProjectionUnavailable
from .event_view import recorded_view
from .tables import PROJECTION

WINDOW = 500  # events of a shard looked at by one statement
MOST_WINDOWS = 20  # of one page; a rare type ends a page early, about two seconds into a huge log


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedFilter:
    """Everything given must hold."""

    type: str | None = None
    saga_type: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedPage:
    """A page may be short, even empty, before the log ends: `has_more` tells."""

    events: Sequence[RecordedEvent]
    next: Cursor
    has_more: bool


# Takes the view of an event onto the page that is being filled; False if it does not fit any more.
Take: TypeAlias = Callable[[JsonObject], Awaitable[bool]]


async def take_any(view: JsonObject) -> bool:
    return True


class Feed(Protocol):
    async def page(
        self, wanted: FeedFilter, after: Cursor, limit: int, take: Take = take_any
    ) -> FeedPage:
        """It ends before the first event that `take` refuses. Raises ProjectionUnavailable."""


@dataclass(frozen=True, slots=True)
class _Checkpoint:
    shard_id: int
    seq: int


class LogFeed:
    """Implements Feed."""

    def __init__(
        self,
        log: EventLog,
        readers: Readers,
        refresh: Callable[[], Awaitable[None]],
        *,
        window: int = WINDOW,
    ) -> None:
        """`refresh` has the status view include all that has been recorded by now."""
        self._log, self._readers, self._refresh = log, readers, refresh
        self._window = window

    async def page(
        self, wanted: FeedFilter, after: Cursor, limit: int, take: Take = take_any
    ) -> FeedPage:
        try:
            return await self._page(wanted, after, limit, take)
        except LogUnavailable as error:
            raise ProjectionUnavailable(str(error)) from error

    async def _page(self, wanted: FeedFilter, after: Cursor, limit: int, take: Take) -> FeedPage:
        ends = await self._ends(wanted)
        found: list[RecordedEvent] = []
        for _ in range(MOST_WINDOWS):
            upto = after.advanced(self._window, ends)
            if upto == after:
                break
            room = limit - len(found)
            events = await self._read(wanted, after, upto, room)
            taken = await _taken(events, take)
            found += events[:taken]
            if taken < len(events) or is_cut(events, room):
                return FeedPage(events=found, next=after.past(events[:taken]), has_more=True)
            after = upto
        has_more = after.advanced(self._window, ends) != after
        return FeedPage(events=found, next=after, has_more=has_more)

    async def _ends(self, wanted: FeedFilter) -> Cursor:
        if wanted.saga_type is None:
            ends = {shard_id: head.seq for shard_id, head in (await self._log.heads()).items()}
        else:
            ends = await self._folded()
        return Cursor(tuple(ends.get(shard_id, 0) for shard_id in range(SHARDS)))

    async def _folded(self) -> dict[int, int]:
        await self._refresh()
        parameters = {"projection": PROJECTION}
        rows = await self._readers.fetch(_Checkpoint, "read_checkpoints", parameters)
        return {one.shard_id: one.seq for one in rows}

    async def _read(
        self, wanted: FeedFilter, after: Cursor, upto: Cursor, limit: int
    ) -> list[RecordedEvent]:
        parameters = {
            "shard_id": list(range(SHARDS)),
            "after": list(after.seqs),
            "upto": list(upto.seqs),
            "types": None if wanted.type is None else list(stored_names(wanted.type)),
            "saga_type": wanted.saga_type,
            "limit": limit,
            "page_bytes": PAGE_BYTES,
        }
        return await self._readers.fetch(RecordedEvent, "read_feed", parameters)


async def _taken(events: Sequence[RecordedEvent], take: Take) -> int:
    """How many, from the first on."""
    for number, event in enumerate(events):
        if not await take(recorded_view(event)):
            return number
    return len(events)
