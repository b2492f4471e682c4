"""Columns of a batch as PostgreSQL's binary arrays.

psycopg converts lists to arrays one element at a time in Python; on the hot path that was most of
the writer's time. Here a column is one join: a header (dimensions, no nulls, element type, length,
first index), then each element behind its length. If all elements have the same length, that
length is the separator of the join; numbers are packed together with their lengths.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Final

from psycopg import AsyncConnection
from psycopg.abc import Buffer
from psycopg.adapt import Dumper
from psycopg.postgres import types
from psycopg.pq import Format

from ..event import Head, RecordedEvent, unix_microseconds, uuid_bytes

_HEADER: Final = struct.Struct(">iiIii")
_EMPTY: Final = struct.Struct(">iiI")
_LENGTH: Final = struct.Struct(">i")
_NULL: Final = _LENGTH.pack(-1)
_TIMESTAMPTZ: Final = struct.Struct(">iq")
_YEAR_2000: Final = 946_684_800_000_000  # PostgreSQL counts its microseconds from here
# Lengths of columns. A format takes 64 bytes an element, so 256 of them are some megabytes at most.
_MAX_CACHED_FORMATS: Final = 256
# Types of events and names of states: many rows, few texts.
_MAX_CACHED_TEXTS: Final = 1_024


class Int4Array(bytes):
    """int4[]"""


class Int8Array(bytes):
    """int8[]"""


class UuidArray(bytes):
    """uuid[]"""


class TextArray(bytes):
    """text[]"""


class TimestamptzArray(bytes):
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
    TimestamptzArray: "timestamptz",
    ByteaArray: "bytea",
    BoolArray: "bool",
    JsonbArray: "jsonb",
}
_OIDS: Final = {array: types[element].oid for array, element in _ELEMENTS.items()}


class _PackedDumper(Dumper):
    format = Format.BINARY

    def dump(self, obj: bytes) -> Buffer | None:
        return obj


def register_array_types(connection: AsyncConnection[tuple[object, ...]]) -> None:
    """Let a connection send the arrays of this module as they are."""
    for array, element in _ELEMENTS.items():
        dumper = type(
            f"{array.__name__}Dumper", (_PackedDumper,), {"oid": types[element].array_oid}
        )
        connection.adapters.register_dumper(array, dumper)


def event_parameters(rows: Sequence[RecordedEvent]) -> dict[str, bytes]:
    """Return rows as the parameters of `append_events`."""
    shard_id, seq, stream_id, version, epoch, *content = zip(*rows, strict=True)
    kind, schema_version, recorded_at, payload, digest = content
    return {
        "shard_id": int4_array(shard_id),
        "seq": int8_array(seq),
        "stream_id": uuid_array(stream_id),
        "version": int4_array(version),
        "epoch": int8_array(epoch),
        "type": text_array(kind),
        "schema_version": int4_array(schema_version),
        "recorded_at": timestamptz_array(recorded_at),
        "payload": bytea_array(payload),
        "hash": hash_array(digest),
    }


def head_parameters(heads: Mapping[int, Head]) -> dict[str, bytes]:
    """Return the heads that a batch must follow, as parameters. A shard without events has none."""
    known = [(shard_id, *head) for shard_id, head in heads.items() if head.seq > 0]
    shard_id, seq, epoch, digest = zip(*known, strict=True) if known else ((), (), (), ())
    return {
        "head_shard_id": int4_array(shard_id),
        "head_seq": int8_array(seq),
        "head_epoch": int8_array(epoch),
        "head_hash": hash_array(digest),
    }


def int4_array(values: Sequence[int]) -> Int4Array:
    return Int4Array(_number_array(Int4Array, 4, "ii", values))


def int8_array(values: Sequence[int]) -> Int8Array:
    return Int8Array(_number_array(Int8Array, 8, "iq", values))


def uuid_array(values: Sequence[str]) -> UuidArray:
    return UuidArray(_fixed_width_array(UuidArray, 16, list(map(uuid_bytes, values))))


def text_array(values: Sequence[str]) -> TextArray:
    return TextArray(_array(TextArray, len(values), map(_text, values)))


def nullable_text_array(values: Sequence[str | None]) -> TextArray:
    """Return an array with null for None.

    The header still says that there are no nulls: the server checks that itself.
    """
    elements = [_NULL if value is None else _text(value) for value in values]
    return TextArray(_array(TextArray, len(values), elements))


def bool_array(values: Sequence[bool]) -> BoolArray:
    return BoolArray(
        _fixed_width_array(BoolArray, 1, [b"\1" if value else b"\0" for value in values])
    )


def jsonb_array(values: Sequence[bytes]) -> JsonbArray:
    """Return an array of JSON texts, each behind the version of the binary format."""
    return JsonbArray(_variable_width_array(JsonbArray, [b"\1" + value for value in values]))


def timestamptz_array(values: Sequence[datetime]) -> TimestamptzArray:
    return TimestamptzArray(_number_array(TimestamptzArray, 8, "iq", _microseconds(values)))


def nullable_timestamptz_array(values: Sequence[datetime | None]) -> TimestamptzArray:
    """Return an array with null for None."""
    elements = [
        _NULL if value is None else _TIMESTAMPTZ.pack(8, unix_microseconds(value) - _YEAR_2000)
        for value in values
    ]
    return TimestamptzArray(_array(TimestamptzArray, len(values), elements))


def bytea_array(values: Sequence[bytes]) -> ByteaArray:
    return ByteaArray(_variable_width_array(ByteaArray, values))


def hash_array(values: Sequence[bytes]) -> ByteaArray:
    """Return an array of hashes of 32 bytes."""
    return ByteaArray(_fixed_width_array(ByteaArray, 32, values))


@lru_cache(maxsize=_MAX_CACHED_TEXTS)
def _text(value: str) -> bytes:
    raw = value.encode()
    return _LENGTH.pack(len(raw)) + raw


def _microseconds(values: Iterable[datetime]) -> list[int]:
    """Return the microseconds since 2000. Events that are recorded together share their instant."""
    numbers = []
    shared = None
    for value in values:
        if value is not shared:
            shared, number = value, unix_microseconds(value) - _YEAR_2000
        numbers.append(number)
    return numbers


def _number_array(array: type[bytes], size: int, element: str, values: Sequence[int]) -> bytes:
    """Return an array of numbers. `element` is the format of a length and a number."""
    length = len(values)
    if length == 0:
        return _array(array, 0, ())
    elements = [size] * (2 * length)
    elements[1::2] = values
    return _format(element, length).pack(1, 0, _OIDS[array], length, 1, *elements)


@lru_cache(maxsize=_MAX_CACHED_FORMATS)
def _format(element: str, length: int) -> struct.Struct:
    return struct.Struct(f">iiIii{element * length}")


def _fixed_width_array(array: type[bytes], size: int, values: Sequence[bytes]) -> bytes:
    """Return an array of elements that all have `size` bytes."""
    length = _LENGTH.pack(size)
    return _array(array, len(values), (length, length.join(values)))


def _variable_width_array(array: type[bytes], values: Sequence[bytes]) -> bytes:
    elements = [b""] * (2 * len(values))
    elements[::2] = map(_LENGTH.pack, map(len, values))
    elements[1::2] = values
    return _array(array, len(values), elements)


def _array(array: type[bytes], length: int, content: Iterable[bytes]) -> bytes:
    if length == 0:  # no dimension to describe: only the first three numbers
        return _EMPTY.pack(0, 0, _OIDS[array])
    return b"".join((_HEADER.pack(1, 0, _OIDS[array], length, 1), *content))
