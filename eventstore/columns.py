"""A batch as binary arrays, one a column.

psycopg turns lists into arrays one element at a time in Python; on the hot path that was most of
the writer's time. Here a column is one join: a header (dimensions, no nulls, element type, length,
first index), then each element behind its length. Where all elements have one length, it is what
joins them.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from itertools import chain
from typing import Final

from psycopg import AsyncConnection
from psycopg.abc import Buffer
from psycopg.adapt import Dumper
from psycopg.postgres import types
from psycopg.pq import Format

from .event import Head, RecordedEvent, unix_microseconds, uuid_bytes

_HEADER: Final = struct.Struct(">iiIii")
_LENGTH: Final = struct.Struct(">i")
_NULL: Final = _LENGTH.pack(-1)
_INT4: Final = struct.Struct(">i")
_INT8: Final = struct.Struct(">q")
_YEAR_2000: Final = 946_684_800_000_000  # PostgreSQL counts its microseconds from here
# Types of events, names of states: many rows, few texts.
_REMEMBERED_TEXTS: Final = 1_024
# Events that are recorded together share their instant.
_REMEMBERED_INSTANTS: Final = 128


class Int4Array(bytes):
    """int4[]"""


class Int8Array(bytes):
    """int8[]"""


class UuidArray(bytes):
    """uuid[]"""


class TextArray(bytes):
    """text[]"""


class InstantArray(bytes):
    """timestamptz[]"""


class ByteaArray(bytes):
    """bytea[]"""


class BoolArray(bytes):
    """bool[]"""


class JsonbArray(bytes):
    """jsonb[]"""


_ELEMENTS: Final[Mapping[type[bytes], str]] = {
    Int4Array: "int4",
    Int8Array: "int8",
    UuidArray: "uuid",
    TextArray: "text",
    InstantArray: "timestamptz",
    ByteaArray: "bytea",
    BoolArray: "bool",
    JsonbArray: "jsonb",
}
_OIDS: Final = {array: types[element].oid for array, element in _ELEMENTS.items()}


class _Packed(Dumper):
    format = Format.BINARY

    def dump(self, obj: bytes) -> Buffer | None:
        return obj


def register_columns(connection: AsyncConnection[tuple[object, ...]]) -> None:
    """Teach a connection to send the arrays of this module as they are."""
    for array, element in _ELEMENTS.items():
        dumper = type(f"{array.__name__}Dumper", (_Packed,), {"oid": types[element].array_oid})
        connection.adapters.register_dumper(array, dumper)


def event_columns(rows: Sequence[RecordedEvent]) -> dict[str, bytes]:
    """The rows, as the parameters of `append_events`."""
    shard_id, seq, stream_id, version, epoch, *content = zip(*rows, strict=True)
    kind, schema_version, recorded_at, payload, digest = content
    return {
        "shard_id": int4s(shard_id),
        "seq": int8s(seq),
        "stream_id": uuids(stream_id),
        "version": int4s(version),
        "epoch": int8s(epoch),
        "type": texts(kind),
        "schema_version": int4s(schema_version),
        "recorded_at": instants(recorded_at),
        "payload": byteas(payload),
        "hash": digests(digest),
    }


def head_columns(heads: Mapping[int, Head]) -> dict[str, bytes]:
    """The rows that must stand before a batch. A shard without events has none."""
    known = {shard_id: head for shard_id, head in heads.items() if head.seq > 0}
    return {
        "head_shard_id": int4s(list(known)),
        "head_seq": int8s([head.seq for head in known.values()]),
        "head_epoch": int8s([head.epoch for head in known.values()]),
        "head_hash": digests([head.hash for head in known.values()]),
    }


def int4s(values: Sequence[int]) -> Int4Array:
    return Int4Array(_even(Int4Array, 4, list(map(_INT4.pack, values))))


def int8s(values: Sequence[int]) -> Int8Array:
    return Int8Array(_even(Int8Array, 8, list(map(_INT8.pack, values))))


def uuids(values: Sequence[str]) -> UuidArray:
    return UuidArray(_even(UuidArray, 16, list(map(uuid_bytes, values))))


def texts(values: Sequence[str]) -> TextArray:
    return TextArray(_array(TextArray, len(values), map(_text, values)))


def optional_texts(values: Sequence[str | None]) -> TextArray:
    """None is null. The header still says that there are no nulls: the server looks itself."""
    elements = [_NULL if value is None else _text(value) for value in values]
    return TextArray(_array(TextArray, len(values), elements))


def bools(values: Sequence[bool]) -> BoolArray:
    return BoolArray(_even(BoolArray, 1, [b"\1" if value else b"\0" for value in values]))


def jsonbs(values: Sequence[bytes]) -> JsonbArray:
    """Of JSON texts; the first byte is the version of the format."""
    return JsonbArray(_uneven(JsonbArray, [b"\1" + value for value in values]))


def instants(values: Sequence[datetime]) -> InstantArray:
    return InstantArray(_even(InstantArray, 8, list(map(_instant, values))))


def optional_instants(values: Sequence[datetime | None]) -> InstantArray:
    """None is null."""
    elements = [_NULL if value is None else _LENGTH.pack(8) + _instant(value) for value in values]
    return InstantArray(_array(InstantArray, len(values), elements))


def byteas(values: Sequence[bytes]) -> ByteaArray:
    return ByteaArray(_uneven(ByteaArray, values))


def digests(values: Sequence[bytes]) -> ByteaArray:
    """Of 32 bytes each."""
    return ByteaArray(_even(ByteaArray, 32, values))


@lru_cache(maxsize=_REMEMBERED_TEXTS)
def _text(value: str) -> bytes:
    raw = value.encode()
    return _LENGTH.pack(len(raw)) + raw


@lru_cache(maxsize=_REMEMBERED_INSTANTS)
def _instant(value: datetime) -> bytes:
    return _INT8.pack(unix_microseconds(value) - _YEAR_2000)


def _even(array: type[bytes], size: int, values: Sequence[bytes]) -> bytes:
    """Of elements that all have `size` bytes."""
    length = _LENGTH.pack(size)
    return _array(array, len(values), (length, length.join(values)))


def _uneven(array: type[bytes], values: Sequence[bytes]) -> bytes:
    lengths = map(_LENGTH.pack, map(len, values))
    return _array(array, len(values), chain.from_iterable(zip(lengths, values, strict=True)))


def _array(array: type[bytes], length: int, content: Iterable[bytes]) -> bytes:
    if length == 0:  # no dimension to describe: only the first three numbers
        return _HEADER.pack(0, 0, _OIDS[array], 0, 0)[:12]
    return b"".join((_HEADER.pack(1, 0, _OIDS[array], length, 1), *content))
