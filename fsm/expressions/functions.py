"""What expressions compute: JMESPath's functions and its equality, on exact numbers.

`jmespath` knows only Python's `int` and `float`, adds in floats, and takes `true` for 1 inside a
list. So everything that touches a number is written here; the rest is inherited. Only `avg`
rounds, to 34 digits; a result that is too long to be kept is an error.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from decimal import ROUND_HALF_EVEN, Context, Decimal, DecimalException, Inexact
from math import ceil, floor
from typing import Any

from jmespath.exceptions import (
    ArityError,
    JMESPathTypeError,
    UnknownFunctionError,
    VariadictArityError,
)
from jmespath.functions import Functions, signature

from ..formats.numbers import MAX_DIGITS, Number, format_number, is_storable, to_decimal
from ..formats.strict_json import Json, serialize

QUOTIENT_CONTEXT = Context(prec=34, rounding=ROUND_HALF_EVEN)
# All digits of a sum of numbers that are kept; what else would be rounded is an error.
SUM_CONTEXT = Context(prec=2 * MAX_DIGITS + 10, traps=[Inexact])
NUMBER_TOO_LONG_MESSAGE = f"a number has more than {MAX_DIGITS} digits before or after the point"
ANY: Any = {"types": []}
NUMBERS: Any = {"types": ["array-number"]}
SORTABLE: Any = {"types": ["array-number", "array-string"]}


class NumberTooLong(ValueError):
    """A result that cannot be kept."""


def json_equal(one: Any, other: Any) -> bool:
    """True if two JSON values are equal: 1 is 1.0, but not true."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, float) or isinstance(other, float):
        return is_number(one) and is_number(other) and to_decimal(one) == to_decimal(other)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(json_equal, one, other))
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return one.keys() == other.keys() and all(
            json_equal(one[name], other[name]) for name in one
        )
    return bool(one == other)


def is_number(value: Any) -> bool:
    return isinstance(value, int | Decimal | float) and not isinstance(value, bool)


def jmespath_type(value: Any) -> str:
    """Return what JMESPath calls the type of a value."""
    match value:
        case None:
            return "null"
        case bool():
            return "boolean"
        case str():
            return "string"
        case int() | Decimal() | float():
            return "number"
        case list():
            return "array"
        case Mapping():
            return "object"
        case _:
            return "expref"


class ExactFunctions(Functions):
    def call_function(self, function_name: str, resolved_args: Iterable[Any]) -> Any:
        """Raises JMESPathError if there is no such function, or it does not take the arguments."""
        arguments = list(resolved_args)
        if (function := self.FUNCTION_TABLE.get(function_name)) is None:
            raise UnknownFunctionError(f"Unknown function: {function_name}()")
        _check_arguments(function_name, function["signature"], arguments)
        return function["function"](self, *arguments)

    @signature(ANY)
    def _func_type(self, value: Json) -> str:
        return jmespath_type(value)

    @signature(ANY)
    def _func_to_number(self, value: Any) -> Number | None:
        if isinstance(value, str):
            return _parse_number(value)
        return value if is_number(value) else None

    @signature(ANY)
    def _func_to_string(self, value: Any) -> str:
        if isinstance(value, str):
            return value
        return format_number(value) if is_number(value) else serialize(value).decode()

    @signature({"types": ["array", "string"]}, ANY)
    def _func_contains(self, subject: list[Json] | str, search: Json) -> bool:
        if isinstance(subject, str):
            return isinstance(search, str) and search in subject
        return any(json_equal(item, search) for item in subject)

    @signature({"types": ["number"]})
    def _func_abs(self, value: Number) -> Number:
        return abs(value) if isinstance(value, int) else to_decimal(value).copy_abs()

    @signature({"types": ["number"]})
    def _func_ceil(self, value: Number) -> int:
        return ceil(to_decimal(value))

    @signature({"types": ["number"]})
    def _func_floor(self, value: Number) -> int:
        return floor(to_decimal(value))

    @signature(NUMBERS)
    def _func_sum(self, values: list[Number]) -> Number:
        return _require_storable(_exact_sum(values))

    @signature(NUMBERS)
    def _func_avg(self, values: list[Number]) -> Number | None:
        if not values:
            return None
        return _require_storable(
            QUOTIENT_CONTEXT.divide(to_decimal(_exact_sum(values)), Decimal(len(values)))
        )

    @signature(SORTABLE)
    def _func_max(self, values: list[Any]) -> Json:
        return max(values, key=sort_key, default=None)

    @signature(SORTABLE)
    def _func_min(self, values: list[Any]) -> Json:
        return min(values, key=sort_key, default=None)

    @signature(SORTABLE)
    def _func_sort(self, values: list[Any]) -> list[Json]:
        return sorted(values, key=sort_key)

    @signature({"types": ["array"]}, {"types": ["expref"]})
    def _func_max_by(self, items: list[Json], expression: Any) -> Json:
        return max(
            _with_sort_keys("max_by", items, expression), key=_first_item, default=(None, None)
        )[1]

    @signature({"types": ["array"]}, {"types": ["expref"]})
    def _func_min_by(self, items: list[Json], expression: Any) -> Json:
        return min(
            _with_sort_keys("min_by", items, expression), key=_first_item, default=(None, None)
        )[1]

    @signature({"types": ["array"]}, {"types": ["expref"]})
    def _func_sort_by(self, items: list[Json], expression: Any) -> list[Json]:
        return [
            item
            for _, item in sorted(_with_sort_keys("sort_by", items, expression), key=_first_item)
        ]


def _check_arguments(
    name: str, expected: Sequence[Mapping[str, Any]], given: Sequence[Any]
) -> None:
    """Raises JMESPathError. Arguments past those that are expected may be of any type."""
    if expected and expected[-1].get("variadic"):
        if len(given) < len(expected):
            raise VariadictArityError(len(expected), len(given), name)
    elif len(given) != len(expected):
        raise ArityError(len(expected), len(given), name)
    for argument, value in zip(expected, given, strict=False):
        types = argument["types"]
        if types and not any(_has_type(kind, value) for kind in types):
            raise JMESPathTypeError(name, value, jmespath_type(value), types)


def _has_type(kind: str, value: Any) -> bool:
    """`kind` is a type, or an array with the type of its items: `array-number`."""
    whole, _, item = kind.partition("-")
    return jmespath_type(value) == whole and (
        not item or all(jmespath_type(one) == item for one in value)
    )


def _exact_sum(values: Sequence[Number]) -> Number:
    if all(isinstance(value, int) for value in values):
        return sum(values)
    total = Decimal(0)
    for value in values:
        total = SUM_CONTEXT.add(total, to_decimal(value))
    return total


def _require_storable(number: Number) -> Number:
    if not is_storable(number):
        raise NumberTooLong(NUMBER_TOO_LONG_MESSAGE)
    return number


def _parse_number(text: str) -> Number | None:
    """Return None for a text that is no number, or too long a one to be kept."""
    try:
        number: Number = int(text)
    except ValueError:
        try:
            number = Decimal(text)
        except DecimalException:
            return None
    return number if is_storable(number) else None


def sort_key(value: Any) -> Any:
    """Return what a number or a text is compared by."""
    return value if isinstance(value, str) else to_decimal(value)


def _with_sort_keys(name: str, items: list[Json], expression: Any) -> list[tuple[Any, Json]]:
    """Each item with what the expression gives for it: numbers for all, or texts."""
    ranks = [expression.visit(expression.expression, item) for item in items]
    kinds = ("number", "string")
    for rank in ranks:
        if jmespath_type(rank) not in kinds or jmespath_type(rank) != jmespath_type(ranks[0]):
            raise JMESPathTypeError(name, rank, jmespath_type(rank), kinds)
    return [(sort_key(rank), item) for rank, item in zip(ranks, items, strict=True)]


def _first_item(ranked: tuple[Any, Json]) -> Any:
    return ranked[0]
