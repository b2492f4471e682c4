"""The hash chain of a shard.

Every event carries sha256(hash of its predecessor in the shard, all its own columns), so that a
changed, swapped, inserted or missing row shows at the first event after it. The chain cannot see
that the newest events of a shard were cut off: compare `heads()` with a head kept elsewhere for
that.

The hashed bytes are unambiguous: numbers have a fixed width, the type is preceded by its length,
the payload is last.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterable
from typing import Final

from .event import (
    NOTHING,
    SHARD_OWNED,
    Head,
    NewEvent,
    Position,
    RecordedEvent,
    StreamId,
    unix_microseconds,
    uuid_bytes,
)

_NUMBERS: Final = struct.Struct(">IQ16sQQIqI")


def event_hash(previous: bytes, position: Position, event: NewEvent | RecordedEvent) -> bytes:
    """The hash of `event` at `position`, after an event with the hash `previous`."""
    shard_id, seq, stream_id, version, epoch = position
    kind = event.type.encode()
    numbers = _NUMBERS.pack(
        shard_id,
        seq,
        uuid_bytes(stream_id),
        version,
        epoch,
        event.schema_version,
        unix_microseconds(event.recorded_at),
        len(kind),
    )
    return hashlib.sha256(b"".join((previous, numbers, kind, event.payload))).digest()


def record(previous: bytes, position: Position, event: NewEvent) -> RecordedEvent:
    """`event` as it stands in the log, linked to its predecessor."""
    return RecordedEvent._make((*position, *event, event_hash(previous, position, event)))


def verify(events: Iterable[RecordedEvent], previous: Head = NOTHING) -> RecordedEvent | None:
    """The first event of one shard that cannot stand where it stands, or None.

    `events` follow `previous` in order of seq. Versions are checked in every stream from its first
    event in `events`.
    """
    versions: dict[StreamId, int] = {}
    from_the_start = previous.seq == 0
    for event in events:
        expected = versions.get(event.stream_id, 0 if from_the_start else event.version - 1) + 1
        if event.version != expected or not _follows(previous, event):
            return event
        versions[event.stream_id] = event.version
        previous = Head(event.seq, event.epoch, event.hash)
    return None


def _follows(previous: Head, event: RecordedEvent) -> bool:
    # An epoch begins with the event that says so, and with no other.
    epoch = previous.epoch + (1 if event.type == SHARD_OWNED else 0)
    position = Position(event.shard_id, event.seq, event.stream_id, event.version, event.epoch)
    return (
        event.seq == previous.seq + 1
        and event.epoch == epoch
        and event.hash == event_hash(previous.hash, position, event)
    )
