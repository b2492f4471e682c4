"""The interface of the log, and what every implementation promises.

Two implementations exist, PostgreSQL and memory, and one contract suite holds for both. A log
object is one *owner*: it appends only to shards that it has claimed, and can no longer append to a
shard as soon as another owner has claimed it.
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
# A larger page could take too much memory.
MAX_PAGE_EVENTS: Final = 10_000
# Events may be large: a page ends with the event that fills it.
MAX_PAGE_BYTES: Final = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class KeyClaim:
    """The stream that a key is bound to, and the digest of the request that bound it."""

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
        """The time for which the writer has been waiting for the database; None if it is not
        waiting."""

    @property
    def truncation(self) -> LogTruncated | None:
        """A confirmed event that is missing, if the database has gone back to an older state.

        This log then refuses every further claim.
        """

    async def claim(self, shard_ids: Iterable[int], *, recorded_at: datetime) -> Mapping[int, int]:
        """Become the owner of the shards, fence every earlier owner, and return the new epochs.

        Raises ClaimFailed.
        """

    async def release(self, shard_ids: Iterable[int]) -> None:
        """Stop being the owner of the shards, after the appends that are already waiting."""

    def append(
        self, stream_id: StreamId, expected_version: int, events: Sequence[NewEvent]
    ) -> Awaitable[Sequence[RecordedEvent]]:
        """Record `events` together at the end of the stream. They are durable once it is awaited.

        Raises WrongExpectedVersion, Fenced, LogOverloaded; LogUnavailable if the log is closing:
        then the events may or may not have been recorded, as for a caller that is cancelled.
        """

    async def read_stream(
        self, stream_id: StreamId, *, after_version: int = 0, limit: int = DEFAULT_PAGE_EVENTS
    ) -> Sequence[RecordedEvent]:
        """Return at most `limit` events of a stream, in order of version.

        They are fewer if they fill PAGE_BYTES (see `may_have_more`).
        """

    async def read_streams(self, stream_ids: Iterable[StreamId]) -> Sequence[RecordedEvent]:
        """Return all events of the streams, in order of stream and version."""

    async def read_shard(
        self, shard_id: int, *, after_seq: int = 0, limit: int = DEFAULT_PAGE_EVENTS
    ) -> Sequence[RecordedEvent]:
        """Return at most `limit` events of a shard, in order of seq.

        They are fewer if they fill PAGE_BYTES (see `may_have_more`).
        """

    async def heads(self, *, ahead: bool = False) -> Mapping[int, Head]:
        """Return the newest event of every shard that has events.

        With `ahead` the read does not queue behind those of clients.
        """

    async def claim_key(
        self, key: str, *, digest: bytes, stream_id: StreamId, claimed_at: datetime
    ) -> KeyClaim:
        """Bind `key` to `stream_id` unless it is bound already, and return what it is bound to.

        Safe to repeat.
        """

    async def find_key(self, key: str) -> KeyClaim | None:
        """Return what `key` is bound to, or None. Binds nothing."""

    async def put_document(
        self, kind: str, name: str, version: int, content: bytes, *, put_at: datetime
    ) -> PutResult:
        """Store a version of a document for ever.

        A version that exists is never changed: the result says whether its content is the same.
        """

    async def get_document(self, kind: str, name: str, version: int | None) -> Document | None:
        """Return a version of a document, or the newest for None. None if it is missing."""

    async def list_documents(self, kind: str) -> Sequence[Document]:
        """Return all versions of all documents of a kind, in order of name and version."""

    async def ping(self) -> None:
        """Check that the database answers. Raises LogUnavailable."""

    async def close(self) -> None:
        """Finish the waiting appends if the database answers, refuse the others, close connections.

        Safe to repeat.
        """


def may_have_more(page: Sequence[RecordedEvent], limit: int) -> bool:
    """True if more events may follow a page that was read with `limit`."""
    return len(page) == limit or sum(len(event.payload) for event in page) >= MAX_PAGE_BYTES
