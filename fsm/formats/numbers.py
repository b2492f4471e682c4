"""Exact JSON numbers: an `int`, or a `Decimal` with the digits that were written.

A binary float has no 0.1: it changes amounts with many digits, and sums. So no number that is read
becomes a float, and nothing is computed in floats.
"""

from __future__ import annotations

from decimal import (
    Clamped,
    Context,
    Decimal,
    Inexact,
    InvalidOperation,
    Overflow,
    Rounded,
    Subnormal,
    Underflow,
)
from typing import Final, TypeAlias

Number: TypeAlias = int | Decimal | float

MAX_DIGITS = 400  # before the point, and after it, written without an exponent
SHORT_NUMBER_CHARACTERS: Final = 50  # characters
# Parses a number exactly, in a third of the time of `parse_decimal`. Raises DecimalException for a
# number that might have too many digits.
SHORT_NUMBER_CONTEXT: Final = Context(
    prec=MAX_DIGITS // 2,
    Emax=MAX_DIGITS // 2,
    Emin=-(MAX_DIGITS // 2),
    traps=[Clamped, Inexact, InvalidOperation, Overflow, Rounded, Subnormal, Underflow],
)
MAX_INTEGER: Final[int] = 10**MAX_DIGITS - 1


def parse_decimal(text: str) -> Decimal:
    """Return the number that a JSON text with a point or an exponent writes.

    Raises ValueError if it has more than 400 digits before or after the point.
    """
    if len(text) <= MAX_DIGITS and "e" not in text and "E" not in text:
        return Decimal(text)
    try:
        number = Decimal(text)
    except InvalidOperation:
        raise ValueError(f"the exponent of {text[:20]}… is too large") from None
    if (
        number
        and len(text) <= SHORT_NUMBER_CHARACTERS
        and abs(number.adjusted()) < MAX_DIGITS - SHORT_NUMBER_CHARACTERS
    ):
        return number  # short: its digits need not be counted
    if not number and number.adjusted() >= 0:  # 0e9 is 0; without a point -0 would be read as 0
        return Decimal("-0.0" if number.is_signed() else "0")
    if not is_storable(number):
        raise ValueError(f"a number has more than {MAX_DIGITS} digits before or after the point")
    return number


def is_storable(number: Number) -> bool:
    """True if `number` has at most 400 digits before the point, and after it."""
    if isinstance(number, int):
        return abs(number) <= MAX_INTEGER
    exact = to_decimal(number)
    exponent = exact.as_tuple().exponent
    if isinstance(exponent, str):  # infinity or NaN
        return False
    return exponent >= -MAX_DIGITS and exact.adjusted() < MAX_DIGITS


def to_decimal(number: Number) -> Decimal:
    """Return `number` as a decimal; a float becomes the shortest decimal that rounds to it."""
    return Decimal(repr(number) if isinstance(number, float) else number)


def format_number(number: Number) -> str:
    """Return `number` as it was written, with digits instead of an exponent."""
    return str(number) if isinstance(number, int) else format(to_decimal(number), "f")
