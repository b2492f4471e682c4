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

# Versions remembered in a shard; a stream beyond that costs one look-up when it is appended to
# again.
MAX_CACHED_VERSIONS: Final = 256


class Append(NamedTuple):
    """The events of one caller, who waits for `done`."""

    stream_id: StreamId
    shard_id: int
    expected_version: int
    events: Sequence[NewEvent]
    size: int
    done: asyncio.Future[Sequence[RecordedEvent]]


@dataclass(slots=True)
class OwnedShard:
    """What the owner of a shard knows without asking: nobody else can append to it."""

    head: Head
    versions: dict[StreamId, int] = field(default_factory=dict)

    def cache_version(self, stream_id: StreamId, version: int) -> None:
        # Taken out and put back, so that the first of the dict is always the one unused for
        # longest.
        self.versions.pop(stream_id, None)
        self.versions[stream_id] = version
        if len(self.versions) > MAX_CACHED_VERSIONS:
            del self.versions[next(iter(self.versions))]


class BatchPlan(NamedTuple):
    """The rows of a batch, and what will be true once they are in the log. `unknown` are streams
    that are said to exist and were taken for new, because nothing was remembered of them."""

    rows: Sequence[RecordedEvent]
    heads_before: Mapping[int, Head]
    heads_after: Mapping[int, Head]
    accepted: Sequence[tuple[Append, Sequence[RecordedEvent]]]
    refused: Sequence[tuple[Append, EventStoreError]]
    unknown_streams: Sequence[StreamId]


def plan_batch(owned: Mapping[int, OwnedShard], appends: Iterable[Append]) -> BatchPlan:
    """Give every event its seq, version and hash, or every append its refusal."""
    rows: list[RecordedEvent] = []
    after: dict[int, Head] = {}
    versions: dict[StreamId, int] = {}
    accepted: list[tuple[Append, Sequence[RecordedEvent]]] = []
    refused: list[tuple[Append, EventStoreError]] = []
    unknown: list[StreamId] = []
    made = tuple.__new__  # as in `link`
    for append in appends:
        stream_id, shard_id, expected, events, _, _ = append
        shard = owned.get(shard_id)
        if shard is None:
            refused.append((append, Fenced(shard_id)))
            continue
        version = versions.get(stream_id) or shard.versions.get(stream_id)
        if version is None:
            # One never heard of counts as new: if it is not, the unique constraint objects.
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
        after[shard_id] = made(Head, (seq, epoch, digest))
        versions[stream_id] = version
        rows += linked
        accepted.append((append, linked))
    before = {shard_id: owned[shard_id].head for shard_id in after}
    return BatchPlan(rows, before, after, accepted, refused, unknown)


# A batch is one statement: big enough to share a commit, small enough not to hold up the next.
MAX_BATCH_EVENTS: Final = 512
MAX_BATCH_BYTES: Final = 4 * 1024 * 1024
# What may wait while the database is away: a few seconds of full load, then callers are told.
MAX_QUEUED_APPENDS: Final = 20_000
MAX_QUEUED_BYTES: Final = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True, eq=False)
class Claim:
    """The shards that a caller wants to own; `done` gives their epochs."""

    shard_ids: Sequence[int]
    recorded_at: datetime
    done: asyncio.Future[Mapping[int, int]]
    size: ClassVar[int] = 0


@dataclass(frozen=True, slots=True, eq=False)
class Release:
    """The shards that a caller does not want to own any more."""

    shard_ids: Sequence[int]
    done: asyncio.Future[None]
    size: ClassVar[int] = 0


Work = Claim | Release | list[Append]
QueuedWork = Append | Claim | Release


class AppendQueue:
    def __init__(self) -> None:
        self._waiting: deque[QueuedWork] = deque()
        self._bytes = 0
        self._something = asyncio.Event()
        self._closed = False

    def put(self, arrival: QueuedWork) -> None:
        """Raises LogUnavailable when closed, LogOverloaded when full."""
        if self._closed:
            raise LogUnavailable("closed")
        waiting = self._waiting
        if not waiting:  # or else it has been set already
            self._something.set()
        elif len(waiting) >= MAX_QUEUED_APPENDS or self._bytes >= MAX_QUEUED_BYTES:
            raise LogOverloaded(len(waiting))
        waiting.append(arrival)
        self._bytes += arrival.size

    async def take(self) -> Work | None:
        """A claim, a release or the appends of one batch, in order; None when closed and empty."""
        while not self._waiting:
            if self._closed:
                return None
            self._something.clear()
            await self._something.wait()
        first = self._pop()
        return self._next_batch(first) if isinstance(first, Append) else first

    def close(self) -> None:
        """Accept nothing more; what waits is still handed out."""
        self._closed = True
        self._something.set()

    def drain(self) -> list[QueuedWork]:
        """Everything that waits, handed out at once."""
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
