"""The `input:` of a definition: a JSON Schema (2020-12) that a start is checked against.

The schema is compiled once, when the definition is parsed. Neither its author nor a client can
exhaust the service with it: nothing is ever fetched, patterns are matched in linear time, and the
cost of the schema times the size of the input is bounded. Numbers are compared exactly, integers
and decimals of any length. Violations are described in plain words, each with its place.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from decimal import Context, Decimal
from itertools import islice
from typing import Any, Final, TypeAlias

from jsonschema_rs import Draft202012Validator, ReferencingError, RegexOptions, ValidationError
from jsonschema_rs import ValidationErrorKind as Kind

from ..formats.json_path import Path, dotted_path
from ..formats.json_schema import FORMATS, SchemaError, cost_of
from ..formats.numbers import MAX_DIGITS, Number, to_decimal
from ..formats.strict_json import Json, JsonObject, serialize
from ..formats.wording import counted, did_you_mean

Violation: TypeAlias = tuple[Path, str]  # a place in the input, and the fault there

PATTERN_OPTIONS: Final = RegexOptions(
    size_limit=256 * 1024, dfa_size_limit=256 * 1024
)  # bytes of each
EMPTY_SCHEMA: Final[JsonObject] = {}  # stands for the meta-schema, whose text the library keeps
BAD_PATTERN_MESSAGE: Final = (
    "this pattern is too large, or uses a feature that is not supported: simplify it"
)
NO_LOOK_AROUND_MESSAGE: Final = (
    "look-around and references to groups are not supported in a pattern: leave them out"
)
LOOK_AROUND: Final = re.compile(r"(?<!\\)(?:\\\\)*(?:\(\?<?[=!]|\\[1-9]|\(\?P=)")
PATTERN_FAULTS: Final = {
    "unterminated character set": "a [ is not closed",
    "missing )": "a ( is not closed",
    "unbalanced parenthesis": "a ) closes nothing",
    "nothing to repeat": "there is nothing before a *, + or ? to repeat",
    "bad character range": "a range in [...] ends before it begins",
    "min repeat greater": "the numbers in {...} are in the wrong order",
}
DEFAULT_PATTERN_FAULT: Final = "write \\ before a character that is meant literally"
# Enough digits for the exact quotient of two numbers with 400 digits on both sides of the point.
DIVISION_CONTEXT: Final = Context(prec=4 * MAX_DIGITS)
MAX_WORK: Final = 20_000_000  # cost of the schema times values of the input: some 0.2 s
MAX_INPUT_VALUES: Final = 512 * 1024  # values; a body of 1 MiB cannot have more
CHARACTERS_PER_VALUE: Final = 8
# Up to this much work all violations are collected. One takes 20 µs, and an `anyOf` makes those of
# each of its schemas; stopping at the first is cheap, unless that is in an `anyOf`.
MAX_WORK_FOR_ALL_VIOLATIONS: Final = 20_000
MAX_VIOLATIONS: Final = 20
ALTERNATIVE_KEYWORDS: Final = ("anyOf", "oneOf")


class InputSchema:
    """A compiled schema; `document` is its source."""

    def __init__(self, document: JsonObject) -> None:
        """Compile `document`. Raises SchemaError."""
        self.document = document
        self._cost = cost_of(document)
        self._is_light = self._cost * MAX_INPUT_VALUES <= MAX_WORK
        self._has_alternatives = _uses_keyword(ALTERNATIVE_KEYWORDS, document)
        self._validator = _compile(document)

    def violations(self, given: JsonObject) -> Sequence[Violation]:
        """Return the violations: all of a small input, the first ones of a large one."""
        if self._is_light and self._validator.is_valid(given):
            return ()
        work = self._cost * _count_values(given)
        if work > MAX_WORK:
            return [((), "has too many values to be checked against this schema: send fewer")]
        if self._validator.is_valid(given):
            return ()
        if work <= MAX_WORK_FOR_ALL_VIOLATIONS:
            return list(islice(self._all_violations(given), MAX_VIOLATIONS))
        if self._has_alternatives:
            return [((), "does not fit the schema, and is too large to find the place")]
        return list(islice(self._first_violations(given), MAX_VIOLATIONS))

    def _all_violations(self, given: JsonObject) -> Iterator[Violation]:
        for error in self._validator.iter_errors(given):
            yield from describe_violations(error, self.document)

    def _first_violations(self, given: JsonObject) -> Iterator[Violation]:
        try:
            self._validator.validate(given)
        except ValidationError as error:
            yield from describe_violations(error, self.document)


def satisfies(limits: JsonObject, value: Json) -> bool:
    """True if `value` satisfies `limits`, some keywords of a schema that is known to be valid."""
    return _compile(limits).is_valid(value)


def _compile(document: JsonObject) -> Draft202012Validator:
    try:
        return Draft202012Validator(
            dict(document),
            offline=True,
            validate_formats=True,
            pattern_options=PATTERN_OPTIONS,
            keywords={"multipleOf": _MultipleOf},
        )
    except ValidationError as error:
        raise SchemaError(dict(_schema_errors(error))) from None
    except (ReferencingError, ValueError) as error:
        raise SchemaError({(): f"the schema cannot be compiled: {error}"}) from None


def _schema_errors(error: ValidationError) -> Iterator[tuple[Path, str]]:
    """Describe why a schema is invalid: it is a value that violates the meta-schema."""
    path = tuple(error.instance_path)
    match path[-2:]:
        case (_, "pattern") | ("pattern",) | ("patternProperties", _):
            is_name = path[-2:-1] == ("patternProperties",)
            yield path, _describe_pattern_error(path[-1] if is_name else error.instance)
        case (_, "type") | ("type",) | ("type", int()):
            yield path, f"a type is one of {', '.join(TYPE_NAMES)}, or a list of them"
        case _:
            yield from (
                (path, f"this {why}") for path, why in describe_violations(error, EMPTY_SCHEMA)
            )


def _describe_pattern_error(pattern: object) -> str:
    """Describe the fault of a pattern: the library does not say what it cannot compile."""
    if LOOK_AROUND.search(str(pattern)):
        return NO_LOOK_AROUND_MESSAGE
    try:
        re.compile(str(pattern))
    except re.error as error:
        at = f" at character {error.pos + 1}" if error.pos is not None else ""
        words = (why for begins, why in PATTERN_FAULTS.items() if error.msg.startswith(begins))
        return f"this is no regular expression{at}: {next(words, DEFAULT_PATTERN_FAULT)}"
    except (RecursionError, OverflowError):
        pass
    return BAD_PATTERN_MESSAGE


class _MultipleOf:
    """The keyword `multipleOf`, computed exactly: the library divides some decimals as floats."""

    def __init__(self, schema: dict[str, Any], unit: Number, path: list[str | int]) -> None:
        """Take the arguments that the library gives: `unit` is a float where a float has exactly
        its value."""
        self._unit = to_decimal(unit)

    def validate(self, value: object) -> None:
        """Raise ValueError if `value` is a number and no multiple."""
        is_number = isinstance(value, int | float | Decimal) and not isinstance(value, bool)
        if is_number and DIVISION_CONTEXT.remainder(to_decimal(value), self._unit):  # type: ignore[arg-type]
            raise ValueError("it is not a multiple")


def _uses_keyword(keywords: Sequence[str], document: Json) -> bool:
    """True if `document` has one of `keywords`, perhaps as the name of a member, which is safe."""
    match document:
        case Mapping():
            return any(keyword in document for keyword in keywords) or any(
                _uses_keyword(keywords, value) for value in document.values()
            )
        case list():
            return any(_uses_keyword(keywords, item) for item in document)
        case _:
            return False


def _count_values(given: Json) -> int:
    """Count members and entries at any depth; a long text counts as several."""
    count, pending = 1, [given]
    for value in pending:  # `pending` grows meanwhile
        match value:
            case Mapping():
                count += len(value)
                pending += value.values()
            case list():
                count += len(value)
                pending += value
            case str():
                count += len(value) // CHARACTERS_PER_VALUE
    return count


TYPE_NAMES: Final[Mapping[str, str]] = {
    "array": "a list",
    "boolean": "true or false",
    "integer": "a whole number",
    "null": "null",
    "number": "a number",
    "object": "an object",
    "string": "a text",
}
MISSING_MESSAGE: Final = "is missing"
MAX_NAMED: Final = 5  # possible values or forms in one message
MAX_VALUE_CHARACTERS: Final = 60  # characters of a value of the schema


def describe_violations(error: ValidationError, document: JsonObject) -> Iterator[tuple[Path, str]]:
    """Yield each fault with its place in the value; `document` is the schema."""
    path: Path = tuple(error.instance_path)
    schema = _schema_at(document, error.schema_path[:-1])
    match error.kind:
        case Kind.Required(property=name):
            yield (*path, name), MISSING_MESSAGE
        case Kind.AdditionalProperties() | Kind.UnevaluatedProperties():
            known = schema.get("properties")
            for name in error.kind.unexpected:
                yield (*path, name), _describe_unexpected(name, known)
        case Kind.UnevaluatedItems(unexpected=entries):
            yield path, f"has {counted(len(entries), 'entry', 'entries')} too many"
        case Kind.PropertyNames(error=inner):
            _, why = next(describe_violations(inner, document))
            yield (*path, str(inner.instance)), f"has a name that {why}"
        case Kind.Type(types=["integer"]) if _type_name(error.instance) == TYPE_NAMES["number"]:
            yield path, f"must be {TYPE_NAMES['integer']}, without a fraction"
        case Kind.Type(types=types):
            needed = join_alternatives([TYPE_NAMES[name] for name in types])
            yield path, f"must be {needed}, not {_type_name(error.instance)}"
        case Kind.AnyOf(context=forms) | Kind.OneOfNotValid(context=forms):
            needs = dict.fromkeys(_describe_form(form, document) for form in forms[:MAX_NAMED])
            yield path, f"fits none of the possible forms: {'; or '.join(needs)}"
        case kind:
            yield path, VIOLATION_MESSAGES[kind.name](kind.value, schema)


# By keyword: the message for the keyword's value, which the library reports, and its schema.
VIOLATION_MESSAGES: Final[Mapping[str, Callable[[Any, JsonObject], str]]] = {
    "enum": lambda values, _: (
        f"must be {join_alternatives([abbreviated_json(value) for value in values])}"
    ),
    "const": lambda value, _: f"must be {abbreviated_json(value)}",
    "pattern": lambda pattern, schema: (
        f"must be written like this: {schema.get('description', pattern)}"
    ),
    "format": lambda name, _: f"must be {FORMATS.get(name, name)}",
    "minimum": lambda limit, _: f"must be at least {abbreviated_json(limit)}",
    "maximum": lambda limit, _: f"must be at most {abbreviated_json(limit)}",
    "exclusiveMinimum": lambda limit, _: f"must be more than {abbreviated_json(limit)}",
    "exclusiveMaximum": lambda limit, _: f"must be less than {abbreviated_json(limit)}",
    "multipleOf": lambda _, schema: (
        f"must be a multiple of {abbreviated_json(schema.get('multipleOf'))}"
    ),
    "minLength": lambda limit, _: f"must have at least {counted(limit, 'character')}",
    "maxLength": lambda limit, _: f"must have at most {counted(limit, 'character')}",
    "minItems": lambda limit, _: f"must have at least {counted(limit, 'entry', 'entries')}",
    "maxItems": lambda limit, _: f"must have at most {counted(limit, 'entry', 'entries')}",
    "minProperties": lambda limit, _: f"must have at least {counted(limit, 'member')}",
    "maxProperties": lambda limit, _: f"must have at most {counted(limit, 'member')}",
    "uniqueItems": lambda _, __: "has an entry twice",
    "contains": lambda _, __: "has too few or too many entries that fit contains",
    "oneOf": lambda _, __: "fits several of the forms of which it must be exactly one",
    "not": lambda _, __: "has a form that is excluded",
    "falseSchema": lambda _, __: "must not be given",
}


def join_alternatives(names: Sequence[str]) -> str:
    named = list(names[:MAX_NAMED])
    if len(names) > MAX_NAMED:
        named.append(f"one of {counted(len(names) - MAX_NAMED, 'other')}")
    return " or ".join([", ".join(named[:-1]), named[-1]] if len(named) > 1 else named)


def abbreviated_json(value: Json) -> str:
    text = serialize(value).decode()
    return text if len(text) <= MAX_VALUE_CHARACTERS else f"{text[:MAX_VALUE_CHARACTERS]}…"


def _describe_unexpected(name: str, known: Json) -> str:
    return f"is not expected{did_you_mean(name, known if isinstance(known, Mapping) else ())}"


def _describe_form(form: Sequence[ValidationError], document: JsonObject) -> str:
    """Describe the first violation of one form."""
    path, why = next(describe_violations(form[0], document))
    below = path[len(form[0].instance_path) :]
    return f"{dotted_path(below)} {why}" if below else why


def _type_name(value: object) -> str:
    match value:
        case None:
            return TYPE_NAMES["null"]
        case bool():
            return TYPE_NAMES["boolean"]
        case int() | float() | Decimal():
            return TYPE_NAMES["number"]
        case str():
            return TYPE_NAMES["string"]
        case Mapping():
            return TYPE_NAMES["object"]
        case _:
            return TYPE_NAMES["array"]


def _schema_at(document: JsonObject, path: Collection[str | int]) -> JsonObject:
    """Return the schema at `path`, or an empty one where the library numbers places in its own
    way."""
    schema: Any = document
    try:
        for key in path:
            schema = schema[key]
    except (LookupError, TypeError):
        return {}
    return schema if isinstance(schema, Mapping) else {}
