"""JMESPath's functions, equality and order, on exact numbers.

The library `jmespath` knows only Python's `int` and `float`, adds in floats, and takes `true` for 1
inside a list. So everything that touches a number is written here; the rest is inherited. Only
`avg` rounds, to 34 digits; a result with more digits than can be stored is an error.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from decimal import ROUND_HALF_EVEN, Context, Decimal, DecimalException, Inexact
from math import ceil, floor
from typing import Any, Final, NamedTuple

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
# Enough digits for an exact sum of numbers that can be stored; rounding is an error.
SUM_CONTEXT = Context(prec=2 * MAX_DIGITS + 10, traps=[Inexact])
NUMBER_TOO_LONG_MESSAGE = f"a number has more than {MAX_DIGITS} digits before or after the point"
ANY: Any = {"types": []}
NUMBERS: Any = {"types": ["array-number"]}
SORTABLE: Any = {"types": ["array-number", "array-string"]}


class NumberTooLong(ValueError):
    """A result with more digits than can be stored."""


def json_equal(left: Any, right: Any) -> bool:
    """True if two JSON values are equal: 1 is 1.0, but not true."""
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    if isinstance(left, float) or isinstance(right, float):
        return is_number(left) and is_number(right) and to_decimal(left) == to_decimal(right)
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(json_equal, left, right))
    if isinstance(left, Mapping) and isinstance(right, Mapping):
        return left.keys() == right.keys() and all(
            json_equal(left[name], right[name]) for name in left
        )
    return bool(left == right)


def is_number(value: Any) -> bool:
    return isinstance(value, int | Decimal | float) and not isinstance(value, bool)


def jmespath_type(value: Any) -> str:
    """Return JMESPath's name for the type of `value`."""
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
        """Call a function. Raises JMESPathError for an unknown one, or for wrong arguments."""
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


class Parameter(NamedTuple):
    """A parameter of a function: the names of its types, none for any. A variadic parameter is the
    last one and takes one or more arguments."""

    types: Sequence[str]
    is_variadic: bool


# By the name of the function.
PARAMETERS: Final[Mapping[str, Sequence[Parameter]]] = {
    name: tuple(
        Parameter(parameter["types"], bool(parameter.get("variadic")))
        for parameter in function["signature"]
    )
    for name, function in ExactFunctions.FUNCTION_TABLE.items()
}


def _check_arguments(
    name: str, expected: Sequence[Mapping[str, Any]], given: Sequence[Any]
) -> None:
    """Raise JMESPathError for a wrong number of arguments, or one of a wrong type; variadic
    arguments may be of any type."""
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
    """True if `value` is of `kind`: a type, or an array of items of a type, `array-number`."""
    whole, _, item = kind.partition("-")
    return jmespath_type(value) == whole and (
        not item or all(jmespath_type(part) == item for part in value)
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
    """Return the number that `text` writes, or None if it writes none that can be stored."""
    try:
        number: Number = int(text)
    except ValueError:
        try:
            number = Decimal(text)
        except DecimalException:
            return None
    return number if is_storable(number) else None


def sort_key(value: Any) -> Any:
    """Return the key by which a number or a text is ordered."""
    return value if isinstance(value, str) else to_decimal(value)


def _with_sort_keys(name: str, items: list[Json], expression: Any) -> list[tuple[Any, Json]]:
    """Return each item with its key, the value of the expression: all numbers, or all texts."""
    ranks = [expression.visit(expression.expression, item) for item in items]
    kinds = ("number", "string")
    for rank in ranks:
        if jmespath_type(rank) not in kinds or jmespath_type(rank) != jmespath_type(ranks[0]):
            raise JMESPathTypeError(name, rank, jmespath_type(rank), kinds)
    return [(sort_key(rank), item) for rank, item in zip(ranks, items, strict=True)]


def _first_item(ranked: tuple[Any, Json]) -> Any:
    return ranked[0]
