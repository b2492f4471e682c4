"""JSON that can be kept: what PostgreSQL, JavaScript and the next reader will all accept.

Python's own reader takes NaN, Infinity, lone surrogates and `\\u0000`; others turn long integers
into floats or 1e999 into infinity. Here each of these is an error, and integers keep all digits.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, TypeAlias

from msgspec import MsgspecError
from msgspec.json import Decoder
from pydantic_core import PydanticSerializationError, to_json

if TYPE_CHECKING:
    Json: TypeAlias = bool | int | float | str | Sequence["Json"] | Mapping[str, "Json"] | None
else:
    Json = object  # who asks a class for its types where it runs could not follow a recursive one
JsonObject: TypeAlias = Mapping[str, Json]

# Of what comes from outside. We keep it inside of more levels, and read many more.
DEEPEST = 100
_read = Decoder().decode


class NotKeepable(ValueError):
    """Bytes or a value that are not JSON, or JSON that not everybody can read."""


def parse(data: bytes | str) -> Json:
    """Raises NotKeepable with what is wrong and where."""
    try:
        value: Json = _read(data)
        text = data if isinstance(data, bytes) else data.encode()
        if text.find(rb"\u0000") >= 0:
            _refuse_null(value)
    except (MsgspecError, UnicodeError, RecursionError) as error:
        raise NotKeepable(str(error)) from None
    return value


def parse_foreign(data: bytes) -> Json:
    """What somebody else wrote. Raises NotKeepable for what is too deep for us as well."""
    value = parse(data)
    # A level takes two brackets; less of them than levels allowed need no look at how they nest.
    may_be_deep = len(data) > 2 * DEEPEST and data.count(b"[") + data.count(b"{") > DEEPEST
    if may_be_deep and _deeper_than(DEEPEST, value):
        raise NotKeepable(f"it nests deeper than {DEEPEST} levels")
    return value


def serialize(value: Json) -> bytes:
    """Compact; the same value gives the same bytes. Raises NotKeepable for what is not JSON."""
    try:
        data = to_json(value)
    except (PydanticSerializationError, ValueError, RecursionError) as error:
        raise NotKeepable(str(error)) from None
    # As numbers these are no JSON; in a text they may stand. Bytes find twice as fast as they are
    # asked for what is `in` them.
    if data.find(b"Infinity") >= 0 or data.find(b"NaN") >= 0:
        try:
            _read(data)
        except MsgspecError:
            raise NotKeepable("a number is infinite, or not a number") from None
    return data


def _refuse_null(value: Json) -> None:
    match value:
        case str() if "\0" in value:
            raise NotKeepable("a string holds the character U+0000")
        case Mapping():
            for name, member in value.items():
                _refuse_null(name)
                _refuse_null(member)
        case list():
            for item in value:
                _refuse_null(item)


def _deeper_than(levels: int, value: Json) -> bool:
    match value:
        case Mapping():
            return levels == 0 or any(_deeper_than(levels - 1, one) for one in value.values())
        case list():
            return levels == 0 or any(_deeper_than(levels - 1, one) for one in value)
        case _:
            return False
