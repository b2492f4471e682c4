"""The `input:` of a definition: a JSON Schema (2020-12) that a start is checked against.

It is compiled once, when the definition is read. Neither its author nor a client can stop the
service with it: nothing is ever fetched, patterns are matched in linear time, and what a schema
costs, times the size of an input, is bounded. Numbers are compared exactly, integers and decimals
of any length.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from decimal import Context, Decimal
from itertools import islice
from typing import Any, Final, TypeAlias

from jsonschema_rs import Draft202012Validator, ReferencingError, RegexOptions, ValidationError

from .numbers import MOST_DIGITS, Number, exactly
from .path import Path
from .schema_rules import Place, SchemaError, cost_of
from .schema_words import TYPES, in_words
from .strict_json import Json, JsonObject

Misfit: TypeAlias = tuple[Path, str]  # a place in the input, and what is wrong with it

PATTERNS: Final = RegexOptions(size_limit=256 * 1024, dfa_size_limit=256 * 1024)  # bytes of each
NO_SCHEMA: Final[JsonObject] = {}  # what is known of the schema that schemas are checked against
BAD_PATTERN: Final = "this pattern is too large, or has what is not read here: write a simpler one"
NO_LOOK_AROUND: Final = (
    "a pattern has no look-around and no references to its own groups here: leave them out"
)
LOOK_AROUND: Final = re.compile(r"(?<!\\)(?:\\\\)*(?:\(\?<?[=!]|\\[1-9]|\(\?P=)")
PATTERN_FAULTS: Final = {
    "unterminated character set": "a [ is not closed",
    "missing )": "a ( is not closed",
    "unbalanced parenthesis": "a ) closes nothing",
    "nothing to repeat": "nothing stands before a *, + or ? that it could repeat",
    "bad character range": "a range in [...] ends before it begins",
    "min repeat greater": "the numbers in {...} are in the wrong order",
}
OTHER_FAULT: Final = "write \\ before a sign that is meant itself"
# A quotient of two numbers of 400 digits on both sides of the point has all of its own.
DIVIDING: Final = Context(prec=4 * MOST_DIGITS)
MOST_WORK: Final = 20_000_000  # cost of the schema times values of the input: some 0.2 s
LARGEST_INPUT: Final = 512 * 1024  # values, for a body of 1 MiB has no more
CHARACTERS_OF_A_VALUE: Final = 8
# Where all that is wrong is looked for. An error takes 20 µs, and an `anyOf` makes those of each of
# its schemas; to look for the first one is cheap unless there is one.
MOST_WORK_FOR_ALL: Final = 20_000
MOST_MISFITS: Final = 20
ALTERNATIVES: Final = ("anyOf", "oneOf")


class InputSchema:
    """A compiled schema; `document` is what it was made of."""

    def __init__(self, document: JsonObject) -> None:
        """Raises SchemaError."""
        self.document = document
        self._cost = cost_of(document)
        self._is_light = self._cost * LARGEST_INPUT <= MOST_WORK
        self._has_alternatives = _has(ALTERNATIVES, document)
        self._validator = _compiled(document)

    def misfits(self, given: JsonObject) -> Sequence[Misfit]:
        """All that does not fit, or of much the first."""
        if self._is_light and self._validator.is_valid(given):
            return ()
        work = self._cost * _values_in(given)
        if work > MOST_WORK:
            return [((), "has too many values to be checked against this schema: send fewer")]
        if self._validator.is_valid(given):
            return ()
        if work <= MOST_WORK_FOR_ALL:
            return list(islice(self._all(given), MOST_MISFITS))
        if self._has_alternatives:
            return [((), "does not fit, and is too large to be searched for the place")]
        return list(islice(self._first(given), MOST_MISFITS))

    def _all(self, given: JsonObject) -> Iterator[Misfit]:
        for error in self._validator.iter_errors(given):
            yield from in_words(error, self.document)

    def _first(self, given: JsonObject) -> Iterator[Misfit]:
        try:
            self._validator.validate(given)
        except ValidationError as error:
            yield from in_words(error, self.document)


def fits_limits(limits: JsonObject, value: Json) -> bool:
    """True if `value` fits these keywords of a schema that is compiled elsewhere as a whole."""
    return _compiled(limits).is_valid(value)


def _compiled(document: JsonObject) -> Draft202012Validator:
    try:
        return Draft202012Validator(
            dict(document),
            offline=True,
            validate_formats=True,
            pattern_options=PATTERNS,
            keywords={"multipleOf": _MultipleOf},
        )
    except ValidationError as error:
        raise SchemaError(dict(_why_not(error))) from None
    except (ReferencingError, ValueError) as error:
        raise SchemaError({(): f"the schema cannot be compiled: {error}"}) from None


def _why_not(error: ValidationError) -> Iterator[tuple[Place, str]]:
    """In our words: the schema is a value that does not fit the schema of schemas."""
    place = tuple(error.instance_path)
    match place[-2:]:
        case (_, "pattern") | ("pattern",) | ("patternProperties", _):
            is_name = place[-2:-1] == ("patternProperties",)
            yield place, _why_no_pattern(place[-1] if is_name else error.instance)
        case (_, "type") | ("type",) | ("type", int()):
            yield place, f"a type is one of {', '.join(TYPES)}, or a list of them"
        case _:
            yield from ((path, f"this {why}") for path, why in in_words(error, NO_SCHEMA))


def _why_no_pattern(pattern: object) -> str:
    """In our words: the library does not say what it cannot read."""
    if LOOK_AROUND.search(str(pattern)):
        return NO_LOOK_AROUND
    try:
        re.compile(str(pattern))
    except re.error as error:
        at = f" at character {error.pos + 1}" if error.pos is not None else ""
        words = (why for begins, why in PATTERN_FAULTS.items() if error.msg.startswith(begins))
        return f"this is no regular expression{at}: {next(words, OTHER_FAULT)}"
    except (RecursionError, OverflowError):
        pass
    return BAD_PATTERN


class _MultipleOf:
    """The keyword `multipleOf`, exactly: the library divides some decimals as binary floats."""

    def __init__(self, schema: dict[str, Any], unit: Number, place: list[str | int]) -> None:
        """As the library makes them: of a number that a float stands for it gives the float."""
        self._unit = exactly(unit)

    def validate(self, value: object) -> None:
        """Raises ValueError."""
        is_number = isinstance(value, int | float | Decimal) and not isinstance(value, bool)
        if is_number and DIVIDING.remainder(exactly(value), self._unit):  # type: ignore[arg-type]
            raise ValueError("it is not a multiple")


def _has(keywords: Sequence[str], document: Json) -> bool:
    """Perhaps as the name of a member, which does no harm."""
    match document:
        case Mapping():
            return any(one in document for one in keywords) or any(
                _has(keywords, one) for one in document.values()
            )
        case list():
            return any(_has(keywords, one) for one in document)
        case _:
            return False


def _values_in(given: Json) -> int:
    """Members and entries at any depth, a long text as many."""
    count, pending = 1, [given]
    for value in pending:  # which grows meanwhile
        match value:
            case Mapping():
                count += len(value)
                pending += value.values()
            case list():
                count += len(value)
                pending += value
            case str():
                count += len(value) // CHARACTERS_OF_A_VALUE
    return count
