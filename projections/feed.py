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

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, Self, TypeAlias

from ..eventstore.errors import LogUnavailable
from ..eventstore.event import SHARD_COUNT, RecordedEvent
from ..eventstore.event_log import MAX_PAGE_BYTES, EventLog, may_have_more
from ..eventstore.postgres.reader_pool import ReaderPool
from ..fsm.codec import UnreadableEvent, decode, encode, format_time, stored_names
from ..fsm.events import Event
from ..fsm.formats.strict_json import Json, JsonObject, parse
from .errors import InvalidCursor, ProjectionUnavailable
from .status_table import PROJECTION

EVENTS_PER_WINDOW = 500  # events of a shard looked at by one statement
MAX_WINDOWS_PER_PAGE = (
    20  # of one page; a rare type ends a page early, about two seconds into a huge log
)


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedFilter:
    """Everything given must hold."""

    type: str | None = None
    saga_type: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedPage:
    """A page may be short, even empty, before the log ends: `has_more` tells."""

    events: Sequence[RecordedEvent]
    next: FeedCursor
    has_more: bool


# Takes the view of an event onto the page that is being filled; False if it does not fit any more.
AcceptEvent: TypeAlias = Callable[[JsonObject], Awaitable[bool]]


async def accept_all(view: JsonObject) -> bool:
    return True


class Feed(Protocol):
    async def page(
        self, wanted: FeedFilter, after: FeedCursor, limit: int, take: AcceptEvent = accept_all
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
        readers: ReaderPool,
        refresh: Callable[[], Awaitable[None]],
        *,
        window: int = EVENTS_PER_WINDOW,
    ) -> None:
        """`refresh` has the status view include all that has been recorded by now."""
        self._log, self._readers, self._refresh = log, readers, refresh
        self._window = window

    async def page(
        self, wanted: FeedFilter, after: FeedCursor, limit: int, take: AcceptEvent = accept_all
    ) -> FeedPage:
        try:
            return await self._page(wanted, after, limit, take)
        except LogUnavailable as error:
            raise ProjectionUnavailable(str(error)) from error

    async def _page(
        self, wanted: FeedFilter, after: FeedCursor, limit: int, take: AcceptEvent
    ) -> FeedPage:
        ends = await self._shard_ends(wanted)
        found: list[RecordedEvent] = []
        for _ in range(MAX_WINDOWS_PER_PAGE):
            upto = after.advanced(self._window, ends)
            if upto == after:
                break
            room = limit - len(found)
            events = await self._read(wanted, after, upto, room)
            taken = await _count_accepted(events, take)
            found += events[:taken]
            if taken < len(events) or may_have_more(events, room):
                return FeedPage(
                    events=found, next=after.after_events(events[:taken]), has_more=True
                )
            after = upto
        has_more = after.advanced(self._window, ends) != after
        return FeedPage(events=found, next=after, has_more=has_more)

    async def _shard_ends(self, wanted: FeedFilter) -> FeedCursor:
        if wanted.saga_type is None:
            ends = {shard_id: head.seq for shard_id, head in (await self._log.heads()).items()}
        else:
            ends = await self._projected_ends()
        return FeedCursor(tuple(ends.get(shard_id, 0) for shard_id in range(SHARD_COUNT)))

    async def _projected_ends(self) -> dict[int, int]:
        await self._refresh()
        parameters = {"projection": PROJECTION}
        rows = await self._readers.fetch(_Checkpoint, "read_checkpoints", parameters)
        return {one.shard_id: one.seq for one in rows}

    async def _read(
        self, wanted: FeedFilter, after: FeedCursor, upto: FeedCursor, limit: int
    ) -> list[RecordedEvent]:
        parameters = {
            "shard_id": list(range(SHARD_COUNT)),
            "after": list(after.seqs),
            "upto": list(upto.seqs),
            "types": None if wanted.type is None else list(stored_names(wanted.type)),
            "saga_type": wanted.saga_type,
            "limit": limit,
            "page_bytes": MAX_PAGE_BYTES,
        }
        return await self._readers.fetch(RecordedEvent, "read_feed", parameters)


async def _count_accepted(events: Sequence[RecordedEvent], take: AcceptEvent) -> int:
    """How many, from the first on."""
    for number, event in enumerate(events):
        if not await take(recorded_event_view(event)):
            return number
    return len(events)


CURSOR_FORMAT = 1  # the first byte; the next form of a cursor gets the next number
MAX_SEQ = 2**63 - 1
CONTINUATION_BIT = 0x80  # seven bits a byte, the lowest first; this one says that another follows


@dataclass(frozen=True, slots=True)
class FeedCursor:
    """`seqs[shard_id]` has been read, and everything before it."""

    seqs: tuple[int, ...] = (0,) * SHARD_COUNT

    @classmethod
    def decode(cls, text: str) -> Self:
        """Raises InvalidCursor."""
        try:
            first, *rest = urlsafe_b64decode(text + "=" * (-len(text) % 4))
        except ValueError:
            raise InvalidCursor from None
        cursor = cls(tuple(_decode_varints(rest)))
        in_bounds = len(cursor.seqs) == SHARD_COUNT and max(cursor.seqs) <= MAX_SEQ
        # Only one text stands for a cursor, so that a damaged one is not taken for another.
        if first != CURSOR_FORMAT or not in_bounds or cursor.encode() != text:
            raise InvalidCursor
        return cursor

    def encode(self) -> str:
        data = bytes([CURSOR_FORMAT, *(byte for seq in self.seqs for byte in _encode_varint(seq))])
        return urlsafe_b64encode(data).decode().rstrip("=")

    def after_events(self, events: Iterable[RecordedEvent]) -> FeedCursor:
        """After `events`, those of one shard in order; other shards stay where they are."""
        last = {one.shard_id: one.seq for one in events}
        return FeedCursor(tuple(last.get(shard_id, seq) for shard_id, seq in enumerate(self.seqs)))

    def advanced(self, by: int, ends: FeedCursor) -> FeedCursor:
        """By as many events in each shard, but not beyond its end."""
        return FeedCursor(
            tuple(
                max(seq, min(seq + by, end)) for seq, end in zip(self.seqs, ends.seqs, strict=True)
            )
        )


def _encode_varint(number: int) -> Iterator[int]:
    while number >= CONTINUATION_BIT:
        yield number % CONTINUATION_BIT + CONTINUATION_BIT
        number //= CONTINUATION_BIT
    yield number


def _decode_varints(data: Sequence[int]) -> Iterator[int]:
    number, shift = 0, 0
    for byte in data:
        number += byte % CONTINUATION_BIT << shift
        shift += 7
        if byte < CONTINUATION_BIT:
            yield number
            number, shift = 0, 0


TOP_LEVEL_MEMBERS = ("actor", "reason")  # who and why stand beside what an event is about


def event_view(recorded: RecordedEvent, event: Event) -> dict[str, Json]:
    """One entry of an audit trail."""
    data = parse(encode(event))
    assert isinstance(data, Mapping), "the members of an event"
    return _members_view(recorded, event.type_name, data)


def recorded_event_view(recorded: RecordedEvent) -> dict[str, Json]:
    """One entry of the whole log.

    One that cannot be read is told as such: it must not end the log for everybody.
    """
    try:
        event = decode(recorded.type, recorded.schema_version, recorded.payload)
    except UnreadableEvent as error:
        members = _members_view(recorded, recorded.type, {"unreadable": str(error)})
    else:
        members = event_view(recorded, event)
    return {"saga_id": recorded.stream_id, **members}


def _members_view(recorded: RecordedEvent, type_name: str, data: JsonObject) -> dict[str, Json]:
    return {
        "version": recorded.version,
        "seq": recorded.seq,
        "epoch": recorded.epoch,
        "type": type_name,
        "recorded_at": format_time(recorded.recorded_at),
        **{name: data[name] for name in TOP_LEVEL_MEMBERS if name in data},
        "data": {name: one for name, one in data.items() if name not in TOP_LEVEL_MEMBERS},
    }
