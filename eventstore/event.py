"""Events, the streams they belong to, and the shards that order them.

A stream is named by a UUID whose last byte says, modulo the number of shards, which shard orders
it: a stream never moves, and its shard follows from its name. Each shard also has a stream of its
own (`shard_stream`) that records each change of its owner; there the version equals the epoch.
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

# One event fits in a batch, in a page of reads and in a reply, so that memory is bounded.
MAX_PAYLOAD_BYTES: Final = 8 * 1024 * 1024
MAX_TYPE_LENGTH: Final = 100

_CANONICAL_UUID: Final = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_NO_OFFSET: Final = timedelta(0)
# Active streams are named again and again: as many as some seconds of full load begin.
_MAX_CACHED_STREAM_IDS: Final = 8_192
_MAX_CACHED_TYPES: Final = 128
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@lru_cache(maxsize=_MAX_CACHED_STREAM_IDS)
def shard_of(stream_id: str) -> int:
    """Return the shard that orders `stream_id`. Raises InvalidStreamId."""
    if _CANONICAL_UUID.fullmatch(stream_id) is None:
        raise InvalidStreamId(stream_id)
    return int(stream_id[-2:], 16) % SHARD_COUNT


@lru_cache(maxsize=_MAX_CACHED_STREAM_IDS)
def uuid_bytes(stream_id: str) -> bytes:
    """Return the sixteen bytes of the name."""
    return bytes.fromhex(stream_id.replace("-", ""))


def unix_microseconds(instant: datetime) -> int:
    # Not cached: a look-up costs as much, because the hash of an instant asks for its time zone.
    since = instant - _EPOCH
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds


def shard_stream(shard_id: int) -> StreamId:
    """Return the stream in which a shard records its owners."""
    assert 0 <= shard_id < SHARD_COUNT
    return StreamId(f"00000000-0000-0000-0000-{shard_id:012x}")


class _NewEvent(NamedTuple):
    type: str
    schema_version: int
    recorded_at: datetime
    payload: bytes


class NewEvent(_NewEvent):
    """An event to be recorded; `payload` is canonical JSON. Raises InvalidEvent.

    It is a tuple because thousands are made each second.
    """

    __slots__ = ()

    def __new__(
        cls,
        type: str,  # noqa: A002 - as the member is called
        schema_version: int,
        recorded_at: datetime,
        payload: bytes,
    ) -> NewEvent:
        # A refusal by the database would concern a whole batch, so nothing invalid gets there.
        _check_type(type, schema_version)
        if recorded_at.tzinfo is not UTC and recorded_at.utcoffset() != _NO_OFFSET:
            raise InvalidEvent("recorded_at is not an aware UTC instant")
        if len(payload) > MAX_PAYLOAD_BYTES:
            raise InvalidEvent(f"its payload has {len(payload)} bytes")
        return super().__new__(cls, type, schema_version, recorded_at, payload)


@lru_cache(maxsize=_MAX_CACHED_TYPES)
def _check_type(name: str, schema_version: int) -> None:
    if not (name.isascii() and name.isidentifier()):
        raise InvalidEvent(f"its type is {name[:MAX_TYPE_LENGTH]!r}")
    if len(name) > MAX_TYPE_LENGTH or not 1 <= schema_version < 2**31:
        raise InvalidEvent("its type or schema version is out of bounds")


class RecordedEvent(NamedTuple):
    """An event in the log.

    `seq` is its position in the shard and `version` its position in the stream: both are dense and
    begin at 1. It is a tuple because thousands are made each second and turned into columns.
    """

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
        """Return the event as it was before it had a place, unchecked: a row may be altered."""
        return NewEvent._make(self[5:9])


class Head(NamedTuple):
    """The newest event of a shard, as far as the next event refers to it."""

    seq: int
    epoch: int
    hash: bytes


EMPTY_HEAD: Final = Head(seq=0, epoch=0, hash=GENESIS_HASH)
