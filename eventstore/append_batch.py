"""Appends that wait for the writer, and the rows of one statement that they become. Pure: nothing
here touches a connection.

`AppendQueue` is bounded, keeps the order of arrival and hands out one batch at a time.
`plan_batch` checks every append against what the owner knows (`OwnedShard`) and against the
appends before it in the same batch. No caller gets a result of a plan, good or bad, before its
rows are known to be in the log: until then everything may have to be planned again."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import ClassVar, Final, NamedTuple

from .errors import EventStoreError, Fenced, LogOverloaded, LogUnavailable, WrongExpectedVersion
from .event import Head, NewEvent, RecordedEvent, StreamId
from .hash_chain import chain_events

# Of each shard. A stream whose version is not cached costs one look-up at its next append.
MAX_CACHED_VERSIONS: Final = 256


class Append(NamedTuple):
    """The events of one caller, which waits for `done`. `size` is that of the payloads in bytes."""

    stream_id: StreamId
    shard_id: int
    expected_version: int
    events: Sequence[NewEvent]
    size: int
    done: asyncio.Future[Sequence[RecordedEvent]]


@dataclass(slots=True)
class OwnedShard:
    """The state of a shard that its owner knows without reading, because no other node can
    append."""

    head: Head
    versions: dict[StreamId, int] = field(default_factory=dict)

    def cache_version(self, stream_id: StreamId, version: int) -> None:
        # Removed and inserted again, so that the first entry is always the least recently used.
        self.versions.pop(stream_id, None)
        self.versions[stream_id] = version
        if len(self.versions) > MAX_CACHED_VERSIONS:
            del self.versions[next(iter(self.versions))]


class BatchPlan(NamedTuple):
    """The rows of a batch, and what is true once they are in the log.

    `unknown` are the streams that appends expect to exist, and that were taken for new because
    their versions are not cached.
    """

    rows: Sequence[RecordedEvent]
    heads_before: Mapping[int, Head]
    heads_after: Mapping[int, Head]
    accepted: Sequence[tuple[Append, Sequence[RecordedEvent]]]
    refused: Sequence[tuple[Append, EventStoreError]]
    unknown_streams: Sequence[StreamId]


def plan_batch(owned: Mapping[int, OwnedShard], appends: Iterable[Append]) -> BatchPlan:
    """Give every event its seq, version and hash, or refuse its append."""
    rows: list[RecordedEvent] = []
    after: dict[int, Head] = {}
    versions: dict[StreamId, int] = {}
    accepted: list[tuple[Append, Sequence[RecordedEvent]]] = []
    refused: list[tuple[Append, EventStoreError]] = []
    unknown: list[StreamId] = []
    for append in appends:
        stream_id, shard_id, expected, events, _, _ = append
        shard = owned.get(shard_id)
        if shard is None:
            refused.append((append, Fenced(shard_id)))
            continue
        version = versions.get(stream_id) or shard.versions.get(stream_id)
        if version is None:
            # A stream that is not cached counts as new: else the unique constraint objects.
            version = 0
            if expected > 0:
                unknown.append(stream_id)
        if version != expected:
            refused.append(
                (append, WrongExpectedVersion(stream_id, expected=expected, actual=version))
            )
            continue
        linked = chain_events(
            after.get(shard_id) or shard.head, shard_id, stream_id, version, events
        )
        _, seq, _, version, epoch, _, _, _, _, digest = linked[-1]
        after[shard_id] = Head(seq, epoch, digest)
        versions[stream_id] = version
        rows += linked
        accepted.append((append, linked))
    before = {shard_id: owned[shard_id].head for shard_id in after}
    return BatchPlan(rows, before, after, accepted, refused, unknown)


# A batch is one statement: large enough to share a commit, small enough not to delay the next.
MAX_BATCH_EVENTS: Final = 512
MAX_BATCH_BYTES: Final = 4 * 1024 * 1024
# While the database is away, a few seconds of full load may wait; then appends are refused.
MAX_QUEUED_APPENDS: Final = 20_000
MAX_QUEUED_BYTES: Final = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True, eq=False)
class Claim:
    """A request of a caller to own shards; `done` gives their epochs."""

    shard_ids: Sequence[int]
    recorded_at: datetime
    done: asyncio.Future[Mapping[int, int]]
    size: ClassVar[int] = 0


@dataclass(frozen=True, slots=True, eq=False)
class Release:
    """A request of a caller to stop owning shards."""

    shard_ids: Sequence[int]
    done: asyncio.Future[None]
    size: ClassVar[int] = 0


Work = Claim | Release | list[Append]
QueuedWork = Append | Claim | Release


class AppendQueue:
    """The bounded queue of what the writer is to do, in order of arrival."""

    def __init__(self) -> None:
        self._waiting: deque[QueuedWork] = deque()
        self._bytes = 0
        self._something = asyncio.Event()
        self._closed = False

    def put(self, arrival: QueuedWork) -> None:
        """Append to the queue. Raises LogUnavailable when it is closed, LogOverloaded when it is
        full."""
        if self._closed:
            raise LogUnavailable("closed")
        waiting = self._waiting
        if not waiting:  # else it has been set already
            self._something.set()
        elif len(waiting) >= MAX_QUEUED_APPENDS or self._bytes >= MAX_QUEUED_BYTES:
            raise LogOverloaded(len(waiting))
        waiting.append(arrival)
        self._bytes += arrival.size

    async def take(self) -> Work | None:
        """Wait for and return a claim, a release or the appends of one batch, in order.

        Returns None once the queue is closed and empty.
        """
        while not self._waiting:
            if self._closed:
                return None
            self._something.clear()
            await self._something.wait()
        first = self._pop()
        return self._next_batch(first) if isinstance(first, Append) else first

    def close(self) -> None:
        """Accept nothing more. What waits can still be taken."""
        self._closed = True
        self._something.set()

    def drain(self) -> list[QueuedWork]:
        """Remove and return everything that waits."""
        return [self._pop() for _ in range(len(self._waiting))]

    def _next_batch(self, first: Append) -> list[Append]:
        batch = [first]
        waiting = self._waiting
        events, size = len(first.events), first.size
        for arrival in waiting:
            if not isinstance(arrival, Append):
                break
            events += len(arrival.events)
            bigger = size + arrival.size
            if events > MAX_BATCH_EVENTS or bigger > MAX_BATCH_BYTES:
                break
            size = bigger
            batch.append(arrival)
        for _ in range(len(batch) - 1):
            waiting.popleft()
        self._bytes -= size - first.size
        return batch

    def _pop(self) -> QueuedWork:
        arrival = self._waiting.popleft()
        self._bytes -= arrival.size
        return arrival
