"""The log in memory: the same promises without a database, for simulations and fast tests.

A `MemoryStore` takes the place of the database: several logs on one store are several owners.
Nothing here waits, so every append is decided alone and at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from operator import itemgetter

from .errors import Fenced, LogTruncated, LogUnavailable, WrongExpectedVersion
from .event import EMPTY_HEAD, Head, NewEvent, RecordedEvent, StreamId, shard_of
from .event_log import (
    DEFAULT_PAGE_EVENTS,
    MAX_PAGE_BYTES,
    MAX_PAGE_EVENTS,
    Document,
    KeyClaim,
    PutResult,
)
from .hash_chain import chain_events, next_epoch_rows, ownership_event


@dataclass(slots=True)
class MemoryStore:
    """The contents of a log, which outlive the log objects that use it."""

    shards: dict[int, list[RecordedEvent]] = field(default_factory=dict)
    streams: dict[StreamId, list[RecordedEvent]] = field(default_factory=dict)
    keys: dict[str, KeyClaim] = field(default_factory=dict)
    documents: dict[tuple[str, str, int], Document] = field(default_factory=dict)
    claims: int = 0

    def head(self, shard_id: int) -> Head:
        events = self.shards.get(shard_id)
        return Head(events[-1].seq, events[-1].epoch, events[-1].hash) if events else EMPTY_HEAD

    def add(self, rows: Iterable[RecordedEvent]) -> None:
        for row in rows:
            self.shards.setdefault(row.shard_id, []).append(row)
            self.streams.setdefault(row.stream_id, []).append(row)


class InMemoryLog:
    """Implements EventLog."""

    def __init__(self, store: MemoryStore | None = None) -> None:
        self.store = MemoryStore() if store is None else store
        self._epochs: dict[int, int] = {}
        self._closed = False

    @property
    def stalled_for(self) -> timedelta | None:
        return None

    @property
    def truncation(self) -> LogTruncated | None:
        return None

    async def claim(self, shard_ids: Iterable[int], *, recorded_at: datetime) -> Mapping[int, int]:
        self._require_open()
        ordered = sorted(set(shard_ids))
        self.store.claims += 1
        event = ownership_event(str(self.store.claims), recorded_at)
        heads = {shard_id: self.store.head(shard_id) for shard_id in ordered}
        rows = next_epoch_rows(heads, ordered, event)
        self.store.add(rows)
        epochs = {row.shard_id: row.epoch for row in rows}
        self._epochs |= epochs
        return epochs

    async def release(self, shard_ids: Iterable[int]) -> None:
        for shard_id in shard_ids:
            self._epochs.pop(shard_id, None)

    async def append(
        self, stream_id: StreamId, expected_version: int, events: Sequence[NewEvent]
    ) -> Sequence[RecordedEvent]:
        assert events, "an append records something"
        self._require_open()
        shard_id = shard_of(stream_id)
        head = self.store.head(shard_id)
        self._require_owner(shard_id, head)
        actual = len(self.store.streams.get(stream_id, ()))
        if actual != expected_version:
            raise WrongExpectedVersion(stream_id, expected=expected_version, actual=actual)
        rows = chain_events(head, shard_id, stream_id, expected_version, events)
        self.store.add(rows)
        return rows

    async def read_stream(
        self, stream_id: StreamId, *, after_version: int = 0, limit: int = DEFAULT_PAGE_EVENTS
    ) -> Sequence[RecordedEvent]:
        assert 1 <= limit <= MAX_PAGE_EVENTS
        shard_of(stream_id)
        stream = self.store.streams.get(stream_id, [])
        return _cut_to_page_bytes(stream[after_version : after_version + limit])

    async def read_streams(self, stream_ids: Iterable[StreamId]) -> Sequence[RecordedEvent]:
        ordered = sorted(set(stream_ids))
        return [event for stream_id in ordered for event in self.store.streams.get(stream_id, ())]

    async def read_shard(
        self, shard_id: int, *, after_seq: int = 0, limit: int = DEFAULT_PAGE_EVENTS
    ) -> Sequence[RecordedEvent]:
        assert 1 <= limit <= MAX_PAGE_EVENTS
        shard = self.store.shards.get(shard_id, [])
        return _cut_to_page_bytes(shard[after_seq : after_seq + limit])

    async def heads(self, *, ahead: bool = False) -> Mapping[int, Head]:
        return {shard_id: self.store.head(shard_id) for shard_id in self.store.shards}

    async def claim_key(
        self, key: str, *, digest: bytes, stream_id: StreamId, claimed_at: datetime
    ) -> KeyClaim:
        return self.store.keys.setdefault(key, KeyClaim(stream_id, digest))

    async def find_key(self, key: str) -> KeyClaim | None:
        return self.store.keys.get(key)

    async def put_document(
        self, kind: str, name: str, version: int, content: bytes, *, put_at: datetime
    ) -> PutResult:
        document = Document(kind=kind, name=name, version=version, content=content, put_at=put_at)
        kept = self.store.documents.setdefault((kind, name, version), document)
        if kept is document:
            return PutResult.CREATED
        return PutResult.SAME if kept.content == content else PutResult.DIFFERENT

    async def get_document(self, kind: str, name: str, version: int | None) -> Document | None:
        if version is not None:
            return self.store.documents.get((kind, name, version))
        versions = [
            document for document in await self.list_documents(kind) if document.name == name
        ]
        return versions[-1] if versions else None

    async def list_documents(self, kind: str) -> Sequence[Document]:
        documents = sorted(self.store.documents.items(), key=itemgetter(0))
        return [document for (its_kind, _, _), document in documents if its_kind == kind]

    async def ping(self) -> None:
        self._require_open()

    async def close(self) -> None:
        self._closed = True

    def _require_open(self) -> None:
        if self._closed:
            raise LogUnavailable("closed")

    def _require_owner(self, shard_id: int, head: Head) -> None:
        if self._epochs.get(shard_id) != head.epoch or head.epoch == 0:
            raise Fenced(shard_id)


def _cut_to_page_bytes(events: Sequence[RecordedEvent]) -> Sequence[RecordedEvent]:
    """Return the events up to the one that fills a page."""
    size = 0
    for number, event in enumerate(events, start=1):
        size += len(event.payload)
        if size >= MAX_PAGE_BYTES:
            return events[:number]
    return events
