"""JSON whose numbers keep all their digits and are compared as decimals."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

Json = Any


class ExactFloat(float):
    """A float that remembers the text it was read from, which may have more digits than floats."""

    __slots__ = ("text",)
    text: str

    def __new__(cls, text: str) -> ExactFloat:
        number = super().__new__(cls, text)
        number.text = text
        return number


def parse_json(text: str | bytes) -> Json:
    """Parse `text`. Raises ValueError if it is not JSON."""
    return json.loads(text, parse_float=ExactFloat)


def as_decimal(value: float) -> Decimal:
    """Return the number exactly as it was written."""
    return Decimal(value.text if isinstance(value, ExactFloat) else repr(value))


def json_type(value: Json) -> type:
    """Return the JSON type of `value`: `true` is not 1, and a string is not a number."""
    return float if isinstance(value, float) else type(value)
