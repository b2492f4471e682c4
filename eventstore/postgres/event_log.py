"""The log in PostgreSQL.

Events go through the writer, one connection and one task; everything else through two pools of
readers. What a node reads for itself, to take shards over or to find its position in one, has a
pool of its own: clients that wait for a stream must not delay its new owner. Only the log object
knows which shards it owns: a new object, in the same process or another, owns nothing before it has
claimed something.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from ..errors import LogTruncated, LogUnavailable
from ..event import SHARD_COUNT, Head, NewEvent, RecordedEvent, StreamId, shard_of
from ..event_log import (
    DEFAULT_PAGE_EVENTS,
    MAX_PAGE_BYTES,
    MAX_PAGE_EVENTS,
    Document,
    KeyClaim,
    PutResult,
)
from .binary_arrays import int4_array, uuid_array
from .connection import NO_OWNER
from .reader_pool import MAX_CONNECTIONS, ReaderPool
from .refusals import Refusals
from .statements import DatabaseMode
from .writer import Writer
from .writer_session import WriterSession

# An index look-up and a commit take milliseconds; a server that takes longer than this is frozen.
STATEMENT_TIMEOUT: Final = timedelta(seconds=8)
# A ping needs no work: a connection without an answer for longer is lost, and another is tried.
PING_TIMEOUT: Final = timedelta(seconds=2)
# Streams read by one statement.
MAX_STREAMS_PER_READ: Final = 200


@dataclass(frozen=True, slots=True)
class _HeadRow:
    shard_id: int
    seq: int
    epoch: int
    hash: bytes


@dataclass(frozen=True, slots=True)
class _PingRow:
    read_only: bool


class PostgresLog:
    """Implements EventLog on a migrated database.

    It must be made in a running event loop, and may be made while the database is away.
    """

    def __init__(
        self,
        database_url: str,
        *,
        statement_timeout: timedelta = STATEMENT_TIMEOUT,
        owner: str = NO_OWNER,
        mode: DatabaseMode = "postgresql",
        readers: int = MAX_CONNECTIONS,
        ahead: int = MAX_CONNECTIONS,
        refusals: Refusals | None = None,
    ) -> None:
        """`readers` and `ahead` are numbers of connections, for clients and for the node itself."""
        refusals = Refusals() if refusals is None else refusals
        self._session = WriterSession(database_url, statement_timeout, owner, mode, refusals)
        self._readers = ReaderPool(
            database_url, statement_timeout, owner=owner, mode=mode, most=readers, refusals=refusals
        )
        self._priority_readers = ReaderPool(
            database_url, statement_timeout, owner=owner, mode=mode, most=ahead, refusals=refusals
        )
        self._writer = Writer(self._session)
        # Owned by this object from here to `close`, which waits for its end.
        self._writer_task = asyncio.get_running_loop().create_task(self._writer.run())

    @property
    def stalled_for(self) -> timedelta | None:
        return self._session.stalled_for

    @property
    def truncation(self) -> LogTruncated | None:
        return self._writer.truncation

    async def open(self) -> None:
        """Open the first connection of each group of readers. Raises psycopg.Error."""
        await self._readers.open()
        await self._priority_readers.open()

    async def claim(self, shard_ids: Iterable[int], *, recorded_at: datetime) -> Mapping[int, int]:
        return await self._writer.claim(shard_ids, recorded_at)

    async def release(self, shard_ids: Iterable[int]) -> None:
        await self._writer.release(shard_ids)

    def append(
        self, stream_id: StreamId, expected_version: int, events: Sequence[NewEvent]
    ) -> Awaitable[Sequence[RecordedEvent]]:
        assert events, "an append records something"
        return self._writer.append(stream_id, expected_version, events)

    async def read_stream(
        self, stream_id: StreamId, *, after_version: int = 0, limit: int = DEFAULT_PAGE_EVENTS
    ) -> Sequence[RecordedEvent]:
        assert 1 <= limit <= MAX_PAGE_EVENTS
        parameters = {
            "shard_id": shard_of(stream_id),
            "stream_id": stream_id,
            "after_version": after_version,
            "limit": limit,
            "page_bytes": MAX_PAGE_BYTES,
        }
        return await self._readers.fetch(RecordedEvent, "read_stream", parameters)

    async def read_streams(self, stream_ids: Iterable[StreamId]) -> Sequence[RecordedEvent]:
        ordered = sorted(set(stream_ids))
        events: list[RecordedEvent] = []
        for start in range(0, len(ordered), MAX_STREAMS_PER_READ):
            chunk = ordered[start : start + MAX_STREAMS_PER_READ]
            shard_ids = int4_array([shard_of(stream_id) for stream_id in chunk])
            parameters = {"shard_ids": shard_ids, "stream_ids": uuid_array(chunk)}
            events += await self._priority_readers.fetch(RecordedEvent, "read_streams", parameters)
        return events

    async def read_shard(
        self, shard_id: int, *, after_seq: int = 0, limit: int = DEFAULT_PAGE_EVENTS
    ) -> Sequence[RecordedEvent]:
        assert 1 <= limit <= MAX_PAGE_EVENTS
        parameters = {
            "shard_id": shard_id,
            "after_seq": after_seq,
            "limit": limit,
            "page_bytes": MAX_PAGE_BYTES,
        }
        return await self._priority_readers.fetch(RecordedEvent, "read_shard", parameters)

    async def heads(self, *, ahead: bool = False) -> Mapping[int, Head]:
        parameters = {"shard_ids": int4_array(range(SHARD_COUNT))}
        readers = self._priority_readers if ahead else self._readers
        rows = await readers.fetch(_HeadRow, "read_heads", parameters)
        return {row.shard_id: Head(row.seq, row.epoch, row.hash) for row in rows}

    async def claim_key(
        self, key: str, *, digest: bytes, stream_id: StreamId, claimed_at: datetime
    ) -> KeyClaim:
        row = {"key": key, "digest": digest, "stream_id": stream_id, "claimed_at": claimed_at}
        await self._readers.execute("insert_key", row)
        (claim,) = await self._readers.fetch(KeyClaim, "read_key", {"key": key})
        return claim

    async def find_key(self, key: str) -> KeyClaim | None:
        claims = await self._readers.fetch(KeyClaim, "read_key", {"key": key})
        return claims[0] if claims else None

    async def put_document(
        self, kind: str, name: str, version: int, content: bytes, *, put_at: datetime
    ) -> PutResult:
        key = {"kind": kind, "name": name, "version": version}
        row = key | {"content": content, "put_at": put_at}
        if await self._readers.execute("insert_document", row) == 1:
            return PutResult.CREATED
        (kept,) = await self._readers.fetch(Document, "read_document", key)
        return PutResult.SAME if kept.content == content else PutResult.DIFFERENT

    async def get_document(self, kind: str, name: str, version: int | None) -> Document | None:
        parameters = {"kind": kind, "name": name, "version": version}
        documents = await self._readers.fetch(Document, "read_document", parameters)
        return documents[0] if documents else None

    async def list_documents(self, kind: str) -> Sequence[Document]:
        return await self._readers.fetch(Document, "list_documents", {"kind": kind})

    async def ping(self) -> None:
        """Check that the database takes reads and writes and the writer runs.

        Raises LogUnavailable.
        """
        (row,) = await self._readers.fetch(_PingRow, "ping", {}, PING_TIMEOUT)
        if row.read_only:
            raise LogUnavailable("the database takes no writes: it is a standby, or set read-only")
        if self._writer_task.done():
            raise LogUnavailable("the writer has ended")

    async def wait_for_failure(self) -> None:
        """Raise LogUnavailable once the writer has ended and nothing can be recorded any more."""
        await asyncio.wait([self._writer_task])
        raise LogUnavailable("the writer has ended")

    async def close_idle(self) -> None:
        """Close the connections that no task uses now. New ones are opened when needed."""
        await self._session.close_idle()
        await self._readers.close_idle()
        await self._priority_readers.close_idle()

    async def close(self) -> None:
        self._writer.close()
        await asyncio.wait([self._writer_task])
        await self._session.close()
        await self._readers.close()
        await self._priority_readers.close()
