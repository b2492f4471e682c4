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

from .chain import link
from .errors import EventStoreError, Fenced, WrongExpectedVersion
from .event import Head, NewEvent, RecordedEvent, StreamId

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


class Draft(NamedTuple):
    """The rows of a batch, and what will be true once they are in the log. `unknown` are streams
    that are said to exist and were taken for new, because nothing was remembered of them."""

    rows: Sequence[RecordedEvent]
    before: Mapping[int, Head]
    after: Mapping[int, Head]
    accepted: Sequence[tuple[Append, Sequence[RecordedEvent]]]
    refused: Sequence[tuple[Append, EventStoreError]]
    unknown: Sequence[StreamId]


def draft(owned: Mapping[int, OwnedShard], appends: Iterable[Append]) -> Draft:
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
        linked = link(after.get(shard_id) or shard.head, shard_id, stream_id, version, events)
        _, seq, _, version, epoch, _, _, _, _, digest = linked[-1]
        after[shard_id] = made(Head, (seq, epoch, digest))
        versions[stream_id] = version
        rows += linked
        accepted.append((append, linked))
    before = {shard_id: owned[shard_id].head for shard_id in after}
    return Draft(rows, before, after, accepted, refused, unknown)
