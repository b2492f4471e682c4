"""JSON that can be kept: what PostgreSQL, JavaScript and the next reader will all accept.

Python's own reader takes NaN, Infinity, lone surrogates and `\\u0000`; others turn long integers
into floats or 1e999 into infinity. Here each of these is an error, and integers keep all digits.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import TypeAlias

from pydantic_core import PydanticSerializationError, from_json, to_json

Json: TypeAlias = "bool | int | float | str | Sequence[Json] | Mapping[str, Json] | None"
JsonObject: TypeAlias = Mapping[str, Json]

# What the parser lets through and we do not: only bytes with one of these need the slow look.
SUSPICIOUS = re.compile(rb"\\u0000|[eE]\+?\d{3}|\d{200}")
# Of what comes from outside. We keep it inside of more levels, and the parser ends at 200.
DEEPEST = 100


class NotKeepable(ValueError):
    """Bytes or a value that are not JSON, or JSON that not everybody can read."""


def parse(data: bytes | str) -> Json:
    """Raises NotKeepable with what is wrong and where."""
    try:
        value: Json = from_json(data, allow_inf_nan=False)
    except (TypeError, ValueError) as error:  # the former for a text with a lone surrogate
        raise NotKeepable(str(error)) from None
    text = data if isinstance(data, bytes) else data.encode()
    if SUSPICIOUS.search(text):
        _refuse_unkeepable(value)
    return value


def parse_foreign(data: bytes) -> Json:
    """What somebody else wrote. Raises NotKeepable for what is too deep for us as well."""
    value = parse(data)
    # Less brackets than levels allowed need no look at how they nest.
    if data.count(b"[") + data.count(b"{") > DEEPEST and _deeper_than(DEEPEST, value):
        raise NotKeepable(f"it nests deeper than {DEEPEST} levels")
    return value


def serialize(value: Json) -> bytes:
    """Compact; the same value gives the same bytes. Raises NotKeepable for what is not JSON."""
    try:
        data = to_json(value)
    except (PydanticSerializationError, ValueError, RecursionError) as error:
        raise NotKeepable(str(error)) from None
    if b"Infinity" in data or b"NaN" in data:  # as a number it is not JSON; in a text it may stand
        parse(data)
    return data


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
