"""The feed of the whole log: the events of all sagas, each once, by cursor.

    cursor ──> a window of each shard, up to its end ──> matching events, merged by time
       ^                                                    |
       └──────── cursor of a full page, or the next window <┘

A page is full by number of events or by bytes. The events of one shard are in order; shards are
merged by the time of recording, without a promise about the order between shards.

The end of a shard is its newest event. For a filter by saga type it is the checkpoint of the status
table, because only the table knows the type: events behind it are left for later, never skipped.
"""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, Self, TypeAlias

from ..eventstore import (
    MAX_PAGE_BYTES,
    SHARD_COUNT,
    EventLog,
    LogUnavailable,
    RecordedEvent,
    may_have_more,
)
from ..eventstore.postgres import ReaderPool
from ..fsm.codec import UnreadableEvent, decode, encode, format_time, stored_names
from ..fsm.events import Event
from ..fsm.formats.strict_json import Json, JsonObject, parse
from .errors import InvalidCursor, ProjectionUnavailable
from .status_table import read_checkpoints

EVENTS_PER_WINDOW = 500  # of a shard, examined by one statement
MAX_WINDOWS_PER_PAGE = 20  # a filter with few matches ends a page early: two seconds in a huge log


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedFilter:
    """Conditions that must all hold."""

    type: str | None = None
    saga_type: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedPage:
    """A page of the feed. It may be short or empty before the end of the log: see `has_more`."""

    events: Sequence[RecordedEvent]
    next: FeedCursor
    has_more: bool


# Adds the view of an event to the page that is being filled; False if it does not fit.
AcceptEvent: TypeAlias = Callable[[JsonObject], Awaitable[bool]]


async def accept_all(view: JsonObject) -> bool:
    return True


class Feed(Protocol):
    """Pages of the whole log."""

    async def page(
        self,
        feed_filter: FeedFilter,
        after: FeedCursor,
        limit: int,
        accept: AcceptEvent = accept_all,
    ) -> FeedPage:
        """Return the page after a cursor; it ends before the first event that `accept` refuses.

        Raises ProjectionUnavailable.
        """


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
        """`refresh` waits until the status table covers all events recorded so far."""
        self._log, self._readers, self._refresh = log, readers, refresh
        self._window = window

    async def page(
        self,
        feed_filter: FeedFilter,
        after: FeedCursor,
        limit: int,
        accept: AcceptEvent = accept_all,
    ) -> FeedPage:
        try:
            return await self._page(feed_filter, after, limit, accept)
        except LogUnavailable as error:
            raise ProjectionUnavailable(str(error)) from error

    async def _page(
        self, feed_filter: FeedFilter, after: FeedCursor, limit: int, accept: AcceptEvent
    ) -> FeedPage:
        ends = await self._shard_ends(feed_filter)
        page: list[RecordedEvent] = []
        for _ in range(MAX_WINDOWS_PER_PAGE):
            upto = after.advanced(self._window, ends)
            if upto == after:
                break
            room = limit - len(page)
            events = await self._read(feed_filter, after, upto, room)
            accepted = await _count_accepted(events, accept)
            page += events[:accepted]
            if accepted < len(events) or may_have_more(events, room):
                return FeedPage(
                    events=page, next=after.after_events(events[:accepted]), has_more=True
                )
            after = upto
        has_more = after.advanced(self._window, ends) != after
        return FeedPage(events=page, next=after, has_more=has_more)

    async def _shard_ends(self, feed_filter: FeedFilter) -> FeedCursor:
        ends: Mapping[int, int]
        if feed_filter.saga_type is None:
            ends = {shard_id: head.seq for shard_id, head in (await self._log.heads()).items()}
        else:
            await self._refresh()
            ends = await read_checkpoints(self._readers)
        return FeedCursor(tuple(ends.get(shard_id, 0) for shard_id in range(SHARD_COUNT)))

    async def _read(
        self, feed_filter: FeedFilter, after: FeedCursor, upto: FeedCursor, limit: int
    ) -> list[RecordedEvent]:
        parameters = {
            "shard_id": list(range(SHARD_COUNT)),
            "after": list(after.seqs),
            "upto": list(upto.seqs),
            "types": None if feed_filter.type is None else list(stored_names(feed_filter.type)),
            "saga_type": feed_filter.saga_type,
            "limit": limit,
            "page_bytes": MAX_PAGE_BYTES,
        }
        return await self._readers.fetch(RecordedEvent, "read_feed", parameters)


async def _count_accepted(events: Sequence[RecordedEvent], accept: AcceptEvent) -> int:
    """Return the number of events accepted before the first refusal."""
    for number, event in enumerate(events):
        if not await accept(recorded_event_view(event)):
            return number
    return len(events)


CURSOR_FORMAT = 1  # the first byte; another encoding of cursors gets another number
MAX_SEQ = 2**63 - 1
CONTINUATION_BIT = 0x80  # seven bits a byte, the lowest first; this bit is set in all but the last


@dataclass(frozen=True, slots=True)
class FeedCursor:
    """The position of a reader of the whole log: the seq last read in each shard.

    A single number for all shards would have to follow the order of commits, or it would skip late
    commits. A shard has one writer and dense numbers: no event can appear before its last seq.
    """

    seqs: tuple[int, ...] = (0,) * SHARD_COUNT

    @classmethod
    def decode(cls, text: str) -> Self:
        """Parse a cursor. Raises InvalidCursor."""
        try:
            first, *rest = urlsafe_b64decode(text + "=" * (-len(text) % 4))
        except ValueError:
            raise InvalidCursor from None
        cursor = cls(tuple(_decode_varints(rest)))
        in_bounds = len(cursor.seqs) == SHARD_COUNT and max(cursor.seqs) <= MAX_SEQ
        # A cursor has exactly one text, so that a damaged text is not mistaken for another cursor.
        if first != CURSOR_FORMAT or not in_bounds or cursor.encode() != text:
            raise InvalidCursor
        return cursor

    def encode(self) -> str:
        data = bytes([CURSOR_FORMAT, *(byte for seq in self.seqs for byte in _encode_varint(seq))])
        return urlsafe_b64encode(data).decode().rstrip("=")

    def after_events(self, events: Iterable[RecordedEvent]) -> FeedCursor:
        """Return the cursor after `events`, which are in order within each shard."""
        last = {event.shard_id: event.seq for event in events}
        return FeedCursor(tuple(last.get(shard_id, seq) for shard_id, seq in enumerate(self.seqs)))

    def advanced(self, by: int, ends: FeedCursor) -> FeedCursor:
        """Return a cursor that is `by` events further in each shard, but not beyond `ends`."""
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


TOP_LEVEL_MEMBERS = ("actor", "reason")  # members of an event that are shown beside its `data`


def event_view(recorded: RecordedEvent, event: Event) -> dict[str, Json]:
    """Return an entry of an audit trail."""
    data = parse(encode(event))
    assert isinstance(data, Mapping), "the members of an event"
    return _members_view(recorded, event.type_name, data)


def recorded_event_view(recorded: RecordedEvent) -> dict[str, Json]:
    """Return an entry of the feed.

    An event that cannot be decoded is shown as unreadable: it must not end the feed.
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
        "data": {name: data[name] for name in data if name not in TOP_LEVEL_MEMBERS},
    }
