"""What waits to be appended, and how it becomes the rows of one statement. Pure: nothing here
touches a connection.

`draft` judges every append against what the owner knows (`OwnedShard`) and against the appends
before it in the same batch. The verdicts of a draft, good and bad, are told to nobody before its
rows are known to be in the log: until then everything may have to be drafted again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from .chain import record
from .errors import EventStoreError, Fenced, WrongExpectedVersion
from .event import Head, NewEvent, Position, RecordedEvent, StreamId

# Versions remembered in a shard; a stream beyond that costs one look-up when it is appended to
# again.
REMEMBERED_STREAMS: Final = 256


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

    def remember(self, stream_id: StreamId, version: int) -> None:
        # Taken out and put back, so that the first of the dict is always the one unused for
        # longest.
        self.versions.pop(stream_id, None)
        self.versions[stream_id] = version
        if len(self.versions) > REMEMBERED_STREAMS:
            del self.versions[next(iter(self.versions))]


@dataclass(frozen=True, slots=True)
class Draft:
    """The rows of a batch, and what will be true once they are in the log."""

    rows: list[RecordedEvent] = field(default_factory=list)
    before: dict[int, Head] = field(default_factory=dict)
    after: dict[int, Head] = field(default_factory=dict)
    versions: dict[StreamId, int] = field(default_factory=dict)
    accepted: list[tuple[Append, Sequence[RecordedEvent]]] = field(default_factory=list)
    refused: list[tuple[Append, EventStoreError]] = field(default_factory=list)


def draft(owned: Mapping[int, OwnedShard], appends: Iterable[Append]) -> Draft:
    """Give every event its seq, version and hash, or every append its refusal."""
    result = Draft()
    for append in appends:
        shard = owned.get(append.shard_id)
        if shard is None:
            result.refused.append((append, Fenced(append.shard_id)))
            continue
        version = _version(result, shard, append.stream_id)
        if version != append.expected_version:
            result.refused.append((append, _wrong_version(append, version)))
        else:
            _accept(result, shard, append)
    return result


def _version(result: Draft, shard: OwnedShard, stream_id: StreamId) -> int:
    """The stream's version. One never heard of counts as new: if it is not, the unique constraint
    objects."""
    return result.versions.get(stream_id, shard.versions.get(stream_id, 0))


def _wrong_version(append: Append, actual: int) -> WrongExpectedVersion:
    return WrongExpectedVersion(append.stream_id, expected=append.expected_version, actual=actual)


def _accept(result: Draft, shard: OwnedShard, append: Append) -> None:
    shard_id = append.shard_id
    result.before.setdefault(shard_id, shard.head)
    head = result.after.get(shard_id, shard.head)
    rows = link(head, shard_id, append.stream_id, append.expected_version, append.events)
    result.rows.extend(rows)
    result.after[shard_id] = Head(rows[-1].seq, rows[-1].epoch, rows[-1].hash)
    result.versions[append.stream_id] = rows[-1].version
    result.accepted.append((append, rows))


def link(
    head: Head, shard_id: int, stream_id: StreamId, version: int, events: Sequence[NewEvent]
) -> list[RecordedEvent]:
    """`events` as they stand behind `head` in the shard and behind `version` in their stream."""
    rows = []
    previous = head.hash
    for place, event in enumerate(events, start=1):
        position = Position(shard_id, head.seq + place, stream_id, version + place, head.epoch)
        row = record(previous, position, event)
        rows.append(row)
        previous = row.hash
    return rows
