"""A batch as binary arrays, one a column.

psycopg turns lists into arrays one element at a time in Python; on the hot path that was most of
the writer's time. Here every column is packed by `struct` in one pass: header (dimensions, no
nulls, element type, length, first index), then each element behind its length.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import chain, repeat
from typing import Final

from psycopg import AsyncConnection
from psycopg.abc import Buffer
from psycopg.adapt import Dumper
from psycopg.postgres import types
from psycopg.pq import Format

from .event import Head, RecordedEvent, uuid_bytes

_HEADER: Final = struct.Struct(">iiIii")
_LENGTH: Final = struct.Struct(">i")
_NULL: Final = _LENGTH.pack(-1)
_INT4: Final = struct.Struct(">ii")
_INT8: Final = struct.Struct(">iq")
_EPOCH: Final = datetime(2000, 1, 1, tzinfo=UTC)  # PostgreSQL counts from here
_MICROSECOND: Final = timedelta(microseconds=1)


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


Columns = Mapping[str, bytes]

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
    return {
        "shard_id": int4s([row.shard_id for row in rows]),
        "seq": int8s([row.seq for row in rows]),
        "stream_id": uuids([row.stream_id for row in rows]),
        "version": int4s([row.version for row in rows]),
        "epoch": int8s([row.epoch for row in rows]),
        "type": texts([row.type for row in rows]),
        "schema_version": int4s([row.schema_version for row in rows]),
        "recorded_at": instants([row.recorded_at for row in rows]),
        "payload": byteas([row.payload for row in rows]),
        "hash": byteas([row.hash for row in rows]),
    }


def head_columns(heads: Mapping[int, Head]) -> dict[str, bytes]:
    """The rows that must stand before a batch. A shard without events has none."""
    known = {shard_id: head for shard_id, head in heads.items() if head.seq > 0}
    return {
        "head_shard_id": int4s(list(known)),
        "head_seq": int8s([head.seq for head in known.values()]),
        "head_epoch": int8s([head.epoch for head in known.values()]),
        "head_hash": byteas([head.hash for head in known.values()]),
    }


def int4s(values: Sequence[int]) -> Int4Array:
    return Int4Array(_array(Int4Array, len(values), map(_INT4.pack, repeat(4), values)))


def int8s(values: Sequence[int]) -> Int8Array:
    return Int8Array(_array(Int8Array, len(values), map(_INT8.pack, repeat(8), values)))


def uuids(values: Sequence[str]) -> UuidArray:
    return UuidArray(_values(UuidArray, list(map(uuid_bytes, values))))


def texts(values: Sequence[str]) -> TextArray:
    return TextArray(_values(TextArray, [value.encode() for value in values]))


def optional_texts(values: Sequence[str | None]) -> TextArray:
    """None is null. The header still says that there are no nulls: the server looks itself."""
    raw = [None if value is None else value.encode() for value in values]
    elements = [_NULL if one is None else _LENGTH.pack(len(one)) + one for one in raw]
    return TextArray(_array(TextArray, len(values), elements))


def bools(values: Sequence[bool]) -> BoolArray:
    return BoolArray(_values(BoolArray, [b"\1" if value else b"\0" for value in values]))


def jsonbs(values: Sequence[bytes]) -> JsonbArray:
    """Of JSON texts; the first byte is the version of the format."""
    return JsonbArray(_values(JsonbArray, [b"\1" + value for value in values]))


def instants(values: Sequence[datetime]) -> InstantArray:
    micros = [(value - _EPOCH) // _MICROSECOND for value in values]
    return InstantArray(_array(InstantArray, len(values), map(_INT8.pack, repeat(8), micros)))


def optional_instants(values: Sequence[datetime | None]) -> InstantArray:
    """None is null."""
    micros = [None if value is None else (value - _EPOCH) // _MICROSECOND for value in values]
    elements = [_NULL if one is None else _INT8.pack(8, one) for one in micros]
    return InstantArray(_array(InstantArray, len(values), elements))


def byteas(values: Sequence[bytes]) -> ByteaArray:
    return ByteaArray(_values(ByteaArray, values))


def _values(array: type[bytes], values: Sequence[bytes]) -> bytes:
    lengths = map(_LENGTH.pack, map(len, values))
    return _array(array, len(values), chain.from_iterable(zip(lengths, values, strict=True)))


def _array(array: type[bytes], length: int, elements: Iterable[bytes]) -> bytes:
    dimensions = 1 if length else 0
    header = _HEADER.pack(dimensions, 0, types[_ELEMENTS[array]].oid, length, 1)
    # An empty array has no dimension to describe: only the first three numbers.
    return header[:12] if length == 0 else b"".join(chain((header,), elements))
