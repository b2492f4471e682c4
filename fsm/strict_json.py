"""JSON that can be kept: what PostgreSQL, JavaScript and the next reader will all accept.

Python's own reader takes NaN, Infinity, lone surrogates and `\\u0000`; others turn long integers
into floats or 1e999 into infinity. Here each of these is an error, and integers keep all digits.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TypeAlias

from pydantic_core import PydanticSerializationError, from_json, to_json

Json: TypeAlias = "bool | int | float | str | Sequence[Json] | Mapping[str, Json] | None"
JsonObject: TypeAlias = Mapping[str, Json]

# Of what comes from outside. We keep it inside of more levels, and the parser ends at 200.
DEEPEST = 100
_FINITE = frozenset({str, int, bool, type(None)})


class NotKeepable(ValueError):
    """Bytes or a value that are not JSON, or JSON that not everybody can read."""


def parse(data: bytes | str) -> Json:
    """Raises NotKeepable with what is wrong and where."""
    try:
        value: Json = from_json(data, allow_inf_nan=False)
    except (TypeError, ValueError) as error:  # the former for a text with a lone surrogate
        raise NotKeepable(str(error)) from None
    text = data if isinstance(data, bytes) else data.encode()
    if text.find(rb"\u0000") >= 0 or _may_be_infinite(value):
        _refuse_unkeepable(value)
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
        parse(data)
    return data


def _may_be_infinite(value: Json) -> bool:
    """The parser reads 1e999 as infinity.

    That nothing is infinite the writer says five times faster than a pattern finds every number
    that may be, and the members of an object, if they are plain, twice as fast as the writer.
    """
    if isinstance(value, dict) and _FINITE.issuperset(map(type, value.values())):
        return False
    return to_json(value).find(b"Infinity") >= 0


def _refuse_unkeepable(value: Json) -> None:
    match value:
        case str() if "\0" in value:
            raise NotKeepable("a string holds the character U+0000")
        case float() if not math.isfinite(value):
            raise NotKeepable("a number is too large")
        case Mapping():
            for name, member in value.items():
                _refuse_unkeepable(name)
                _refuse_unkeepable(member)
        case list():
            for item in value:
                _refuse_unkeepable(item)


def _deeper_than(levels: int, value: Json) -> bool:
    match value:
        case Mapping():
            return levels == 0 or any(_deeper_than(levels - 1, one) for one in value.values())
        case list():
            return levels == 0 or any(_deeper_than(levels - 1, one) for one in value)
        case _:
            return False
