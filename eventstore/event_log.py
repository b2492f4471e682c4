"""The log as its users see it: what every implementation promises.

Two implementations exist, PostgreSQL and memory, and one contract suite holds for both. A log
object is one *owner*: it appends only to shards that it has claimed, and stops being able to as
soon as somebody else has claimed them.
"""

from __future__ import annotations

from collections.abc import Awaitable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final, Protocol

from .errors import LogTruncated
from .event import Head, NewEvent, RecordedEvent, StreamId

DEFAULT_PAGE_EVENTS: Final = 1_000
# A caller who asks for more than this is asking for memory trouble.
MAX_PAGE_EVENTS: Final = 10_000
# An event may hold a megabyte: a page ends with the event that fills it, however few they are.
MAX_PAGE_BYTES: Final = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class KeyClaim:
    """What a key stands for, whoever claimed it first."""

    stream_id: StreamId
    digest: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """One immutable version of a named text."""

    kind: str
    name: str
    version: int
    content: bytes
    put_at: datetime


class PutResult(StrEnum):
    CREATED = "created"
    SAME = "same"
    DIFFERENT = "different"


class EventLog(Protocol):
    @property
    def stalled_for(self) -> timedelta | None:
        """How long the writer has been waiting for the database; None while it wants nothing."""

    @property
    def truncation(self) -> LogTruncated | None:
        """An event that was confirmed and is gone, if the database ever went back to an older
        state. This log then claims nothing any more."""

    async def claim(self, shard_ids: Iterable[int], *, recorded_at: datetime) -> Mapping[int, int]:
        """Become the owner of the shards; returns their new epochs. Every earlier owner is fenced.
        Raises ClaimFailed."""

    async def release(self, shard_ids: Iterable[int]) -> None:
        """Stop being the owner, once what was to be appended before has been. Whoever wants to
        append there then has to claim."""

    def append(
        self, stream_id: StreamId, expected_version: int, events: Sequence[NewEvent]
    ) -> Awaitable[Sequence[RecordedEvent]]:
        """Record `events` together at the end of the stream; to be awaited until they are durable.

        Raises WrongExpectedVersion, Fenced, LogOverloaded; LogUnavailable when the log is closing,
        and then the events may or may not have been recorded. The same holds for a caller who is
        cancelled.
        """

    async def read_stream(
        self, stream_id: StreamId, *, after_version: int = 0, limit: int = DEFAULT_PAGE_EVENTS
    ) -> Sequence[RecordedEvent]:
        """At most `limit` events of a stream, in order of version; fewer if they fill PAGE_BYTES
        (`may_have_more` tells)."""

    async def read_streams(self, stream_ids: Iterable[StreamId]) -> Sequence[RecordedEvent]:
        """All events of the streams, in order of stream and version."""

    async def read_shard(
        self, shard_id: int, *, after_seq: int = 0, limit: int = DEFAULT_PAGE_EVENTS
    ) -> Sequence[RecordedEvent]:
        """At most `limit` events of a shard, in order of seq; fewer if they fill PAGE_BYTES."""

    async def heads(self, *, ahead: bool = False) -> Mapping[int, Head]:
        """Return the newest event of every shard that has events; `ahead` of what clients ask."""

    async def claim_key(
        self, key: str, *, digest: bytes, stream_id: StreamId, claimed_at: datetime
    ) -> KeyClaim:
        """Bind `key` to `stream_id` unless it is bound already; returns what it is bound to. Safe
        to repeat."""

    async def find_key(self, key: str) -> KeyClaim | None:
        """Return what `key` is bound to, if it is, and bind nothing."""

    async def put_document(
        self, kind: str, name: str, version: int, content: bytes, *, put_at: datetime
    ) -> PutResult:
        """Keep a version for ever. A version that exists is never changed: the result says whether
        it is the same."""

    async def get_document(self, kind: str, name: str, version: int | None) -> Document | None:
        """That version, or the newest for None."""

    async def list_documents(self, kind: str) -> Sequence[Document]:
        """All versions of all documents of a kind, in order of name and version."""

    async def ping(self) -> None:
        """Ask the database for a sign of life. Raises LogUnavailable."""

    async def close(self) -> None:
        """Finish what is waiting if the database answers, refuse the rest, release everything. Safe
        to repeat."""


def may_have_more(page: Sequence[RecordedEvent], limit: int) -> bool:
    """Whether more may follow a page that was read with `limit`."""
    return len(page) == limit or sum(len(one.payload) for one in page) >= MAX_PAGE_BYTES
