"""The schema of an input: what it takes, what it says, and what it may cost."""

from __future__ import annotations

from decimal import Context, Decimal
from fractions import Fraction
from time import process_time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from saga_orchestrator.fsm.definitions.input_schema import InputSchema, Violation
from saga_orchestrator.fsm.formats.json_schema import (
    ASSERTION_KEYWORDS,
    FORMATS,
    MAX_NESTING,
    SCHEMA_KEYWORDS,
    SCHEMA_LIST_KEYWORDS,
    SCHEMA_MAP_KEYWORDS,
    SchemaError,
)
from saga_orchestrator.fsm.formats.strict_json import Json, JsonObject

MOST_SECONDS = 1.5  # of processor time, on the slowest machine; a tenth of that is usual
DRAFT_7 = "http://json-schema.org/draft-07/schema#"


def misfits(schema: JsonObject, value: Any) -> list[Violation]:
    """Of the member `x`, whose schema it is."""
    return list(InputSchema({"properties": {"x": schema}}).violations({"x": value}))


def errors(schema: JsonObject) -> dict[tuple[str | int, ...], str]:
    with pytest.raises(SchemaError) as refusal:
        InputSchema(schema)
    return dict(refusal.value.errors)


MISFITS: list[tuple[str, JsonObject, Json, list[Violation]]] = [
    ("type", {"type": "number"}, "1", [(("x",), "must be a number, not a text")]),
    (
        "type",
        {"type": ["string", "null"]},
        [],
        [(("x",), "must be null or a text, not a list")],
    ),
    ("type", {"type": "integer"}, Decimal("1.5"),
     [(("x",), "must be a whole number, without a fraction")]),
    ("type", {"type": "array"}, True, [(("x",), "must be a list, not true or false")]),
    ("required", {"required": ["a"]}, {}, [(("x", "a"), "is missing")]),
    (
        "additionalProperties",
        {"properties": {"amount": True}, "additionalProperties": False},
        {"amont": 1, "zzz": 2},
        [
            (("x", "amont"), "is not expected; did you mean amount?"),
            (("x", "zzz"), "is not expected"),
        ],
    ),
    ("unevaluatedProperties", {"unevaluatedProperties": False}, {"a": 1},
     [(("x", "a"), "is not expected")]),
    ("unevaluatedItems", {"prefixItems": [True], "unevaluatedItems": False},
     [1, None, {"a": 2}], [(("x",), "has 2 entries too many")]),
    ("items", {"items": {"minimum": 2}}, [3, 1], [(("x", 1), "must be at least 2")]),
    ("prefixItems", {"prefixItems": [True, {"type": "null"}]}, [1, 2],
     [(("x", 1), "must be null, not a number")]),
    ("enum", {"enum": ["a", 1, None]}, 2, [(("x",), 'must be "a", 1 or null')]),
    ("enum", {"enum": [*range(9)]}, 10,
     [(("x",), "must be 0, 1, 2, 3, 4 or one of 4 others")]),
    ("const", {"const": 5}, 6, [(("x",), "must be 5")]),
    ("pattern", {"pattern": "^[A-Z]{3}$"}, "eur",
     [(("x",), "must be written like this: ^[A-Z]{3}$")]),
    ("pattern", {"pattern": "^[A-Z]{3}$", "description": "three capitals, EUR"}, "eur",
     [(("x",), "must be written like this: three capitals, EUR")]),
    ("format", {"format": "date"}, "1.3.", [(("x",), "must be a date, like 2026-03-01")]),
    ("minimum", {"minimum": 1}, 0, [(("x",), "must be at least 1")]),
    ("maximum", {"maximum": 1}, 2, [(("x",), "must be at most 1")]),
    ("exclusiveMinimum", {"exclusiveMinimum": 1}, 1, [(("x",), "must be more than 1")]),
    ("exclusiveMaximum", {"exclusiveMaximum": 1}, 1, [(("x",), "must be less than 1")]),
    ("multipleOf", {"multipleOf": 2}, 3, [(("x",), "must be a multiple of 2")]),
    ("minLength", {"minLength": 2}, "a", [(("x",), "must have at least 2 characters")]),
    ("maxLength", {"maxLength": 2}, "abc", [(("x",), "must have at most 2 characters")]),
    ("minItems", {"minItems": 2}, [1], [(("x",), "must have at least 2 entries")]),
    ("maxItems", {"maxItems": 0}, [1], [(("x",), "must have at most 0 entries")]),
    ("minProperties", {"minProperties": 1}, {}, [(("x",), "must have at least 1 member")]),
    ("maxProperties", {"maxProperties": 0}, {"a": 1}, [(("x",), "must have at most 0 members")]),
    ("uniqueItems", {"uniqueItems": True}, [1, Decimal("1.0")], [(("x",), "has an entry twice")]),
    ("contains", {"contains": {"const": 1}}, [2],
     [(("x",), "has too few or too many entries that fit contains")]),
    ("minContains", {"contains": {"const": 1}, "minContains": 2}, [1],
     [(("x",), "has too few or too many entries that fit contains")]),
    ("maxContains", {"contains": {"const": 1}, "maxContains": 1}, [1, 1],
     [(("x",), "has too few or too many entries that fit contains")]),
    ("propertyNames", {"propertyNames": {"maxLength": 1}}, {"ab": 1},
     [(("x", "ab"), "has a name that must have at most 1 character")]),
    ("patternProperties", {"patternProperties": {"^a": {"type": "null"}}}, {"ab": 1},
     [(("x", "ab"), "must be null, not a number")]),
    ("dependentRequired", {"dependentRequired": {"a": ["b"]}}, {"a": 1},
     [(("x", "b"), "is missing")]),
    ("dependentSchemas", {"dependentSchemas": {"a": {"required": ["b"]}}}, {"a": 1},
     [(("x", "b"), "is missing")]),
    ("properties", {"properties": {"a": False}}, {"a": 1}, [(("x", "a"), "must not be given")]),
    ("allOf", {"allOf": [{"minimum": 1}, {"maximum": -1}]}, 0,
     [(("x",), "must be at least 1"), (("x",), "must be at most -1")]),
    ("anyOf", {"anyOf": [{"type": "string"}, {"required": ["a"], "type": "object"}]}, {},
     [(("x",), "fits none of the possible forms: must be a text, not an object; or a is missing")]),
    ("oneOf", {"oneOf": [{"type": "string"}, {"type": "null"}]}, 1,
     [(("x",), "fits none of the possible forms: must be a text, not a number; or must be null,"
       " not a number")]),
    ("oneOf", {"oneOf": [{"type": "number"}, {"type": "integer"}]}, 1,
     [(("x",), "fits several of the forms of which it must be exactly one")]),
    ("not", {"not": {"type": "null"}}, None, [(("x",), "has a form that is excluded")]),
    ("then", {"if": {"type": "integer"}, "then": {"minimum": 1}}, 0,
     [(("x",), "must be at least 1")]),
    ("else", {"if": {"type": "null"}, "else": {"minimum": 1}}, 0,
     [(("x",), "must be at least 1")]),
    ("if", {"if": {"type": "null"}, "else": {"minimum": 1}}, 0, [(("x",), "must be at least 1")]),
]  # fmt: skip


@pytest.mark.parametrize(("keyword", "schema", "value", "violations"), MISFITS)
def test_violation_is_described_in_plain_words(
    keyword: str, schema: JsonObject, value: Json, violations: list[Violation]
) -> None:
    assert keyword in schema
    assert misfits(schema, value) == violations


def test_every_keyword_has_a_message() -> None:
    limiting = {
        *ASSERTION_KEYWORDS,
        *SCHEMA_KEYWORDS,
        *SCHEMA_LIST_KEYWORDS,
        *SCHEMA_MAP_KEYWORDS,
    } - {"$defs"}

    assert {keyword for keyword, *_ in MISFITS} == limiting


def test_violation_behind_a_reference_names_the_value() -> None:
    schema: JsonObject = {
        "properties": {"home": {"$ref": "#/$defs/address"}},
        "$defs": {"address": {"required": ["street"]}},
    }

    assert list(InputSchema(schema).violations({"home": {}})) == [
        (("home", "street"), "is missing")
    ]


@pytest.mark.parametrize("name", FORMATS)
def test_each_format_is_checked(name: str) -> None:
    assert misfits({"format": name}, "\t<nothing of this kind> %")


BAD: list[tuple[JsonObject, tuple[str | int, ...], str]] = [
    ({"requried": ["a"]}, ("requried",), "did you mean required?"),
    ({"properties": {"a": {"typ": "string"}}}, ("properties", "a", "typ"), "did you mean type?"),
    ({"$id": "https://example.com/a"}, ("$id",), "not a supported keyword"),
    ({"$dynamicRef": "#a"}, ("$dynamicRef",), "not a supported keyword"),
    ({"type": "strng"}, ("type",), "a type is one of array, boolean"),
    ({"type": ["string", "strng"]}, ("type",), "a type is one of array, boolean"),
    ({"minimum": "5"}, ("minimum",), "this must be a number, not a text"),
    ({"minLength": -1}, ("minLength",), "this must be at least 0"),
    ({"required": "a"}, ("required",), "this must be a list, not a text"),
    ({"properties": [1]}, ("properties",), "this must be an object, not a list"),
    ({"items": [{"type": "string"}]}, ("items",), "a schema is an object, true or false"),
    ({"properties": {"a": 1}}, ("properties", "a"), "a schema is an object, true or false"),
    ({"format": "dat"}, ("format",), "a format is one of date, date-time"),
    ({"$schema": DRAFT_7}, ("$schema",), "https://json-schema.org/draft/2020-12/schema"),
    (
        {"pattern": "("},
        ("pattern",),
        "this is no regular expression at character 1: a ( is not closed",
    ),
    ({"pattern": "[a"}, ("pattern",), "at character 1: a [ is not closed"),
    ({"pattern": "ab)"}, ("pattern",), "at character 3: a ) closes nothing"),
    ({"pattern": "*a"}, ("pattern",), "there is nothing before a *, + or ?"),
    ({"pattern": "[b-a]"}, ("pattern",), "a range in [...] ends before it begins"),
    ({"pattern": "a{2,1}"}, ("pattern",), "the numbers in {...} are in the wrong order"),
    ({"pattern": "(?=a)"}, ("pattern",), "look-around and references to groups"),
    ({"pattern": r"(a)\1"}, ("pattern",), "look-around and references to groups"),
    ({"pattern": "(((a{1,99}){1,99}){1,99}){1,99}"}, ("pattern",), "this pattern is too large"),
    ({"patternProperties": {"(": True}}, ("patternProperties", "("), "a ( is not closed"),
    ({"$ref": "#/$defs/a"}, ("$ref",), "there is no #/$defs/a in this schema: define it there"),
    (
        {"$ref": "#/$defs/adress", "$defs": {"address": True}},
        ("$ref",),
        "there is no #/$defs/adress in this schema; did you mean #/$defs/address?",
    ),
    ({"$ref": "other.json"}, ("$ref",), "names a place in this schema"),
    ({"$ref": "https://example.com/schema"}, ("$ref",), "names a place in this schema"),
    ({"$ref": "file:///etc/passwd"}, ("$ref",), "names a place in this schema"),
    ({"$ref": 5}, ("$ref",), "names a place in this schema"),
    ({"$ref": "#"}, ("$ref",), "leads back to itself"),
    ({"properties": {"a": {"$ref": "#"}}}, ("properties", "a", "$ref"), "leads back to itself"),
    (
        {"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}},
        ("$defs", "b", "$ref"),
        "leads back to itself",
    ),
]


@pytest.mark.parametrize(
    ("schema", "place", "words"), BAD, ids=[str(schema)[:60] for schema, *_ in BAD]
)
def test_invalid_schema_is_described_at_its_place(
    schema: JsonObject, place: tuple[str | int, ...], words: str
) -> None:
    assert list(errors(schema)) == [place]
    assert words in errors(schema)[place]


def test_all_faults_of_a_schema_are_reported_at_once() -> None:
    assert list(errors({"typ": 1, "properties": {"a": {"format": "x", "$ref": "#/b"}}})) == [
        ("typ",),
        ("properties", "a", "format"),
        ("properties", "a", "$ref"),
    ]


def chain(length: int, *, twice: bool = False) -> JsonObject:
    """Each definition leads to the next one."""
    links = {
        f"s{number}": {"allOf": [{"$ref": f"#/$defs/s{number + 1}"}] * (2 if twice else 1)}
        for number in range(length)
    }
    return {"$ref": "#/$defs/s0", "$defs": {**links, f"s{length}": {"type": "object"}}}


def nested(levels: int) -> JsonObject:
    schema: JsonObject = {"type": "object"}
    for _ in range(levels):
        schema = {"properties": {"a": schema}}
    return schema


@pytest.mark.parametrize(
    "schema",
    [
        chain(40, twice=True),
        chain(3000),
        nested(MAX_NESTING),
        {"allOf": [{"minimum": n} for n in range(3000)]},
        {"enum": [*range(10)], "properties": {f"a{n}": {"pattern": "a"} for n in range(101)}},
        {"patternProperties": {f"^{n}": True for n in range(101)}},
    ],
    ids=["doubling", "a long chain", "too deep", "too many", "patterns", "names as patterns"],
)
def test_too_expensive_schema_is_refused(schema: JsonObject) -> None:
    began = process_time()

    assert list(errors(schema)) == [()]
    assert process_time() - began < MOST_SECONDS


def test_schema_of_the_maximal_depth_is_accepted() -> None:
    value: Json = {}
    for _ in range(MAX_NESTING - 2):
        value = {"a": value}

    assert not InputSchema(nested(MAX_NESTING - 1)).violations({"a": value})


MANY: list[Json] = [1] * 500_000
HEAVY: list[JsonObject] = [{"anyOf": [{"type": "null"}, {"maximum": n}]} for n in range(1, 300)]
LARGE: dict[str, tuple[JsonObject, Json]] = {
    "every entry is wrong": ({"items": {"type": "string"}}, MANY),
    "every entry is wrong in every form": (
        {"anyOf": [{"items": {"type": "string"}}, {"type": "string"}]},
        MANY,
    ),
    "every entry is checked a thousand times": ({"items": {"allOf": HEAVY}}, MANY),
    "every entry is compared": ({"items": {"uniqueItems": True}}, [[*range(400_000)]]),
    "a pattern that others go through again and again": ({"pattern": "^(a+)+$"}, "a" * 999_999),
    "a hundred patterns on one text": (
        {"allOf": [{"pattern": rf"^(\w+-?)+{n}$"} for n in range(100)]},
        "a" * 999_999,
    ),
    "a hundred patterns on many names": (
        {"patternProperties": {f"^(x{n}|[a-z]+)+$": True for n in range(100)}},
        {f"abc{n}": 1 for n in range(70_000)},
    ),
}


@pytest.mark.parametrize(("schema", "value"), LARGE.values(), ids=LARGE)
def test_largest_input_is_checked_fast(schema: JsonObject, value: Json) -> None:
    compiled = InputSchema({"properties": {"x": schema}})
    began = process_time()

    violations = compiled.violations({"x": value})

    assert process_time() - began < MOST_SECONDS
    assert len(violations) <= 20


def test_first_violation_of_a_large_input_has_its_place() -> None:
    assert misfits({"items": {"type": "integer"}}, [*MANY, "1"]) == [
        (("x", 500_000), "must be a whole number, not a text")
    ]


def test_number_of_reported_violations_is_limited() -> None:
    assert len(misfits({"items": {"type": "string"}}, [1] * 100)) == 20


WIDE = Context(prec=1000)
integers = st.integers(-(10**30), 10**30)
decimals = st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**30), max_value=10**30)
numbers = (
    st.integers(-20, 20)
    | integers
    | decimals
    | st.integers(10**398, 10**399)
    | st.builds(
        lambda digits, by: Decimal(digits).scaleb(by, WIDE), integers, st.integers(-390, 360)
    )
)
rules = {
    "minimum": lambda value, limit: value >= limit,
    "maximum": lambda value, limit: value <= limit,
    "exclusiveMinimum": lambda value, limit: value > limit,
    "exclusiveMaximum": lambda value, limit: value < limit,
    "const": lambda value, limit: value == limit,
    "multipleOf": lambda value, limit: (value / limit).denominator == 1,
}


@given(st.sampled_from(sorted(rules)), numbers, numbers, st.integers(-3, 3))
def test_numbers_are_compared_exactly(keyword: str, value: Any, limit: Any, factor: int) -> None:
    """Against fractions, which have all digits."""
    if keyword == "multipleOf":
        limit = abs(limit) or 1
    for number in (value, limit, factor):
        fits = not misfits({keyword: limit}, number)
        assert fits is rules[keyword](Fraction(number), Fraction(limit)), (keyword, number, limit)


def test_cents_are_multiples_of_a_cent() -> None:
    cents: dict[str, Any] = {"multipleOf": Decimal("0.01")}

    for amount in (Decimal("19.99"), Decimal("4.35"), Decimal("12345678901234567.89"), 7):
        assert misfits(cents, amount) == []
    assert misfits(cents, Decimal("12345678901234567.891")) == [
        (("x",), "must be a multiple of 0.01")
    ]
