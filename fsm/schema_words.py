"""What an input lacks to fit its schema, in plain words."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

from jsonschema_rs import ValidationError
from jsonschema_rs import ValidationErrorKind as Kind

from .path import Path, dotted
from .plural import counted
from .schema_rules import FORMATS, did_you_mean
from .strict_json import Json, JsonObject, serialize

TYPES: Final[Mapping[str, str]] = {
    "array": "a list",
    "boolean": "true or false",
    "integer": "a whole number",
    "null": "null",
    "number": "a number",
    "object": "an object",
    "string": "a text",
}
MISSING: Final = "is missing"
MOST_NAMED: Final = 5  # of possible values or forms
LONGEST_VALUE: Final = 60  # characters of one that the schema names


def in_words(error: ValidationError, document: JsonObject) -> Iterator[tuple[Path, str]]:
    """What is wrong, each with its place in the value; `document` is the schema."""
    place: Path = tuple(error.instance_path)
    schema = _at(document, error.schema_path[:-1])
    match error.kind:
        case Kind.Required(property=name):
            yield (*place, name), MISSING
        case Kind.AdditionalProperties() | Kind.UnevaluatedProperties():
            known = schema.get("properties")
            for name in error.kind.unexpected:
                yield (*place, name), _unexpected(name, known)
        case Kind.UnevaluatedItems(unexpected=entries):
            yield place, f"has {counted(len(entries), 'entry', 'entries')} too many"
        case Kind.PropertyNames(error=inner):
            _, why = next(in_words(inner, document))
            yield (*place, str(inner.instance)), f"has a name that {why}"
        case Kind.Type(types=["integer"]) if _type_of(error.instance) == TYPES["number"]:
            yield place, f"must be {TYPES['integer']}, without a fraction"
        case Kind.Type(types=types):
            needed = either([TYPES[one] for one in types])
            yield place, f"must be {needed}, not {_type_of(error.instance)}"
        case Kind.AnyOf(context=forms) | Kind.OneOfNotValid(context=forms):
            needs = dict.fromkeys(_need(form, document) for form in forms[:MOST_NAMED])
            yield place, f"fits none of the possible forms: {'; or '.join(needs)}"
        case kind:
            yield place, WORDS[kind.name](kind.value, schema)


# By keyword, of the value that the library tells with it and the schema that it is in.
WORDS: Final[Mapping[str, Callable[[Any, JsonObject], str]]] = {
    "enum": lambda values, _: f"must be {either([shown(one) for one in values])}",
    "const": lambda value, _: f"must be {shown(value)}",
    "pattern": lambda pattern, schema: (
        f"must be written like this: {schema.get('description', pattern)}"
    ),
    "format": lambda name, _: f"must be {FORMATS.get(name, name)}",
    "minimum": lambda limit, _: f"must be at least {shown(limit)}",
    "maximum": lambda limit, _: f"must be at most {shown(limit)}",
    "exclusiveMinimum": lambda limit, _: f"must be more than {shown(limit)}",
    "exclusiveMaximum": lambda limit, _: f"must be less than {shown(limit)}",
    "multipleOf": lambda _, schema: f"must be a multiple of {shown(schema.get('multipleOf'))}",
    "minLength": lambda limit, _: f"must have at least {counted(limit, 'character')}",
    "maxLength": lambda limit, _: f"must have at most {counted(limit, 'character')}",
    "minItems": lambda limit, _: f"must have at least {counted(limit, 'entry', 'entries')}",
    "maxItems": lambda limit, _: f"must have at most {counted(limit, 'entry', 'entries')}",
    "minProperties": lambda limit, _: f"must have at least {counted(limit, 'member')}",
    "maxProperties": lambda limit, _: f"must have at most {counted(limit, 'member')}",
    "uniqueItems": lambda _, __: "has an entry twice",
    "contains": lambda _, __: "has too few or too many entries of the form that some must have",
    "oneOf": lambda _, __: "fits several of the forms of which it must be exactly one",
    "not": lambda _, __: "has a form that is excluded",
    "falseSchema": lambda _, __: "must not be given",
}


def either(names: Sequence[str]) -> str:
    named = list(names[:MOST_NAMED])
    if len(names) > MOST_NAMED:
        named.append(f"one of {counted(len(names) - MOST_NAMED, 'other')}")
    return " or ".join([", ".join(named[:-1]), named[-1]] if len(named) > 1 else named)


def shown(value: Json) -> str:
    text = serialize(value).decode()
    return text if len(text) <= LONGEST_VALUE else f"{text[:LONGEST_VALUE]}…"


def _unexpected(name: str, known: Json) -> str:
    return f"is not expected{did_you_mean(name, known if isinstance(known, Mapping) else ())}"


def _need(form: Sequence[ValidationError], document: JsonObject) -> str:
    """The first thing that the value lacks to have it."""
    path, why = next(in_words(form[0], document))
    below = path[len(form[0].instance_path) :]
    return f"{dotted(below)} {why}" if below else why


def _type_of(value: object) -> str:
    match value:
        case None:
            return TYPES["null"]
        case bool():
            return TYPES["boolean"]
        case int() | float() | Decimal():
            return TYPES["number"]
        case str():
            return TYPES["string"]
        case Mapping():
            return TYPES["object"]
        case _:
            return TYPES["array"]


def _at(document: JsonObject, place: Collection[str | int]) -> JsonObject:
    """The schema there, or an empty one where the library counts in its own way."""
    there: Any = document
    try:
        for key in place:
            there = there[key]
    except (LookupError, TypeError):
        return {}
    return there if isinstance(there, Mapping) else {}
