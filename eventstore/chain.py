"""The hash chain of a shard.

Every event carries sha256(hash of its predecessor in the shard, all its own columns), so that a
changed, swapped, inserted or missing row shows at the first event after it. The chain cannot see
that the newest events of a shard were cut off: compare `heads()` with a head kept elsewhere for
that.

The hashed bytes are unambiguous: numbers have a fixed width, the type is preceded by its length,
the payload is last.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from hashlib import sha256
from typing import Final

from .event import (
    NOTHING,
    SHARD_OWNED,
    Head,
    NewEvent,
    RecordedEvent,
    StreamId,
    unix_microseconds,
    uuid_bytes,
)

_FRONT: Final = struct.Struct(">32sIQ16sQQIqI")


def link(
    head: Head, shard_id: int, stream_id: StreamId, version: int, events: Sequence[NewEvent]
) -> list[RecordedEvent]:
    """`events` as they stand behind `head` in the shard and behind `version` in their stream."""
    rows = []
    seq, epoch, digest = head
    name = uuid_bytes(stream_id)
    made = tuple.__new__  # half the time of the constructor, which does no more
    shared = None  # events that are recorded together mostly have one instant
    for kind, schema_version, recorded_at, payload in events:
        seq += 1
        version += 1
        raw_kind = kind.encode()
        if recorded_at is not shared:
            shared, instant = recorded_at, unix_microseconds(recorded_at)
        front = _FRONT.pack(
            digest, shard_id, seq, name, version, epoch, schema_version, instant, len(raw_kind)
        )
        digest = sha256(b"".join((front, raw_kind, payload))).digest()
        row = (
            shard_id,
            seq,
            stream_id,
            version,
            epoch,
            kind,
            schema_version,
            recorded_at,
            payload,
            digest,
        )
        rows.append(made(RecordedEvent, row))
    return rows


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
    head = Head(previous.seq, epoch, previous.hash)
    return link(head, event.shard_id, event.stream_id, event.version - 1, [event.new]) == [event]
