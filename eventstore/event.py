"""Events, the streams they belong to, and the shards that order them.

A stream is named by a UUID whose last byte says, modulo the number of shards, which shard orders
it: a stream never moves, and everybody who knows its name knows its shard. Each shard also has a
stream of its own (`shard_stream`) in which the taking over of the shard is recorded; there the
version equals the epoch.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Final, NamedTuple, NewType

from .errors import InvalidEvent, InvalidStreamId

StreamId = NewType("StreamId", str)

SHARD_COUNT: Final = 64
SHARD_OWNED: Final = "ShardOwned"
GENESIS_HASH: Final = bytes(32)

# One event must fit in a batch, a page of reads and a reply without anybody having to think about
# memory.
MAX_PAYLOAD_BYTES: Final = 8 * 1024 * 1024
MAX_TYPE_LENGTH: Final = 100

_CANONICAL_UUID: Final = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_NO_OFFSET: Final = timedelta(0)
# Names that are looked at again and again while their streams move: of some seconds of full load.
_MAX_CACHED_STREAM_IDS: Final = 8_192
_MAX_CACHED_TYPES: Final = 128
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@lru_cache(maxsize=_MAX_CACHED_STREAM_IDS)
def shard_of(stream_id: str) -> int:
    """The shard that orders `stream_id`. Raises InvalidStreamId."""
    if _CANONICAL_UUID.fullmatch(stream_id) is None:
        raise InvalidStreamId(stream_id)
    return int(stream_id[-2:], 16) % SHARD_COUNT


@lru_cache(maxsize=_MAX_CACHED_STREAM_IDS)
def uuid_bytes(stream_id: str) -> bytes:
    """The sixteen bytes of the name."""
    return bytes.fromhex(stream_id.replace("-", ""))


def unix_microseconds(instant: datetime) -> int:
    # Not remembered: to look an instant up costs as much, for its hash asks for its time zone.
    since = instant - _EPOCH
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds


def shard_stream(shard_id: int) -> StreamId:
    """The stream in which a shard records its owners."""
    assert 0 <= shard_id < SHARD_COUNT
    return StreamId(f"00000000-0000-0000-0000-{shard_id:012x}")


class _NewEvent(NamedTuple):
    type: str
    schema_version: int
    recorded_at: datetime
    payload: bytes


class NewEvent(_NewEvent):
    """An event to be recorded; `payload` is canonical JSON. Raises InvalidEvent.

    A tuple, because thousands a second are made; with its members in order it is made faster than
    by their names.
    """

    __slots__ = ()

    def __new__(
        cls,
        type: str,  # noqa: A002 - as the member is called
        schema_version: int,
        recorded_at: datetime,
        payload: bytes,
    ) -> NewEvent:
        # The database must never be the first to object: its refusal would concern a whole batch.
        _check_type(type, schema_version)
        if recorded_at.tzinfo is not UTC and recorded_at.utcoffset() != _NO_OFFSET:
            raise InvalidEvent("recorded_at is not an aware UTC instant")
        if len(payload) > MAX_PAYLOAD_BYTES:
            raise InvalidEvent(f"its payload has {len(payload)} bytes")
        return tuple.__new__(cls, (type, schema_version, recorded_at, payload))


@lru_cache(maxsize=_MAX_CACHED_TYPES)
def _check_type(name: str, schema_version: int) -> None:
    if not (name.isascii() and name.isidentifier()):
        raise InvalidEvent(f"its type is {name[:MAX_TYPE_LENGTH]!r}")
    if len(name) > MAX_TYPE_LENGTH or not 1 <= schema_version < 2**31:
        raise InvalidEvent("its type or schema version is out of bounds")


class RecordedEvent(NamedTuple):
    """An event in the log. `seq` is its place in the shard, `version` its place in the stream; both
    dense, from 1. A tuple, because thousands a second are made and turned into columns."""

    shard_id: int
    seq: int
    stream_id: StreamId
    version: int
    epoch: int
    type: str
    schema_version: int
    recorded_at: datetime
    payload: bytes
    hash: bytes

    @property
    def as_new_event(self) -> NewEvent:
        """What was to be recorded."""
        return tuple.__new__(NewEvent, self[5:9])


class Head(NamedTuple):
    """The newest event of a shard, as the next one must know it."""

    seq: int
    epoch: int
    hash: bytes


EMPTY_HEAD: Final = Head(seq=0, epoch=0, hash=GENESIS_HASH)
