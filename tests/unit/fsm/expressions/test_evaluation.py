"""What is absent is never sent as null, and null is a value like others."""

from __future__ import annotations

import jmespath
import pytest
from hypothesis import given
from hypothesis import strategies as st
from saga_orchestrator.fsm.expressions.expression import ExpressionError, MissingValue, parse
from saga_orchestrator.fsm.formats.strict_json import Json

OUTPUT: Json = {
    "id": 7,
    "none": None,
    "items": [{"id": 1, "price": 2, "note": None}, {"id": 3, "kind": "x", "price": 4}],
    "by_name": {"a": {"n": 1}, "b": {"m": 2}},
    "address": {"street": "Main"},
    "empty": [],
}
SCOPE: dict[str, Json] = {
    "input": {"a": {"b": 1}},
    "steps": {"book": {"output": OUTPUT, "key": "s/book/action"}, "pay": {"key": "s/pay/action"}},
    "saga": {"id": "s", "error": None},
}
# Around a part without which they have no value.
NEEDING = [
    "merge(input.a, {{x: {}}})",
    "{{x: {}}}",
    "{{x: {}, y: input.a}}",
    "[{}]",
    "[input.a, {}]",
    "to_array({})",
    "type({})",
    "to_string({})",
    "{} == 'x'",
    "{} != 'x'",
    "'x' == {}",
    "!({})",
    "[{}] | [0]",
    "[{}][0]",
    "{{a: {}}}.a",
    "[[{}]][]",
    "[{}][?@ == 'x']",
    "map(&to_string(@), to_array({}))",
    "not_null({})",
    "contains(input.list || `[]`, {})",
    "input.a && {}",
    "input.gone || {}",
    "({})",
]
TAKING_NULL = [source for source in NEEDING if "not_null" not in source]
GONE = ["steps.book.output.gone", "steps.book.output.none.gone", "steps.pay.output"]


def value_of(source: str) -> Json:
    return parse(source).evaluate(SCOPE)


def nested(contexts: list[str], part: str) -> str:
    for context in contexts:
        part = context.format(f"({part})")
    return part


@pytest.mark.parametrize("context", NEEDING)
@pytest.mark.parametrize("gone", GONE)
def test_absent_part_is_an_error_in_every_position(context: str, gone: str) -> None:
    step = gone.split(".")[1]

    with pytest.raises(MissingValue, match=rf"\b{step}\b") as missing:
        value_of(context.format(gone))

    assert missing.value.paths == (tuple(gone.split(".")),)


contexts = st.lists(st.sampled_from(NEEDING), min_size=1, max_size=4)


@given(contexts, st.sampled_from(GONE))
def test_absent_part_is_an_error_at_any_depth(around: list[str], gone: str) -> None:
    with pytest.raises(MissingValue):
        value_of(nested(around, gone))


@given(contexts, st.sampled_from(GONE))
def test_fallback_around_an_absent_part_is_taken(around: list[str], gone: str) -> None:
    inner, outer = around[: len(around) // 2], around[len(around) // 2 :]

    value = value_of(nested([*inner, "{} || 'none'", *outer], gone))

    assert value == value_of(nested(outer, "'none'"))


@given(st.lists(st.sampled_from(TAKING_NULL), min_size=1, max_size=4))
def test_null_is_a_value_in_every_position(around: list[str]) -> None:
    source = nested(around, "steps.book.output.none")

    assert value_of(source) == jmespath.search(source, SCOPE)


@pytest.mark.parametrize(
    ("source", "value"),
    [
        ("steps.book.output.none", None),
        ("{a: steps.book.output.none}", {"a": None}),
        ("[steps.book.output.none]", [None]),
        ("steps.book.output.none || steps.book.output.id", 7),
        ("steps.book.output.gone || steps.book.output.none", None),
        ("not_null(steps.book.output.gone, steps.pay.output.id, steps.book.output.id)", 7),
        ("length(steps.pay.output) || `0`", 0),
        ("merge({a: steps.pay.output}, {b: `1`}) || 'none'", "none"),
        ("steps.book.output.items[*].price", [2, 4]),
        ("steps.book.output.items[*].note", []),
        ("steps.book.output.items[*].kind", ["x"]),
        ("steps.book.output.items[?kind == 'x'].id", [3]),
        ("steps.book.output.items[?!kind].id", [1]),
        ("steps.book.output.items[?contains(kind, 'x')].id", [3]),
        ("steps.book.output.by_name.*.n", [1]),
        ("steps.book.output.empty[*].id", []),
        ("steps.book.output.address.{s: street}", {"s": "Main"}),
        ("steps.book.output.gone[*].id || 'none'", "none"),
        ("sort_by(steps.book.output.items, &price)[-1].id", 3),
        ("saga.error", None),
        ("`null`", None),
    ],
)
def test_present_value_is_read(source: str, value: Json) -> None:
    assert value_of(source) == value


@pytest.mark.parametrize(
    "source",
    [
        "steps.book.output.none.gone",
        "steps.book.output.id.gone",
        "steps.book.output.items[2]",
        "steps.book.output.none[*].id",
        "steps.book.output.id[*]",
        "steps.book.output.id.*",
        "steps.book.output.none[]",
        "steps.book.output.id[0:2]",
        "steps.book.output.none[?id]",
        "steps.book.output.none.{s: street}",
        "steps.book.output.none.[street]",
        "steps.book.output.items[*].{id: id, kind: kind}",
        "steps.book.output.items[*].[kind]",
        "map(&kind, steps.book.output.items)",
        "sort_by(steps.book.output.items, &kind)",
        "max_by(steps.book.output.items, &kind)",
        "max(steps.book.output.empty)",
        "avg(steps.book.output.empty)",
        "to_number('twelve')",
        "steps.pay.output.id || steps.pay.output.name",
        "not_null(steps.pay.output.id, steps.book.output.none)",
    ],
)
def test_read_from_an_absent_value_is_absent(source: str) -> None:
    with pytest.raises(MissingValue):
        value_of(source)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (
            "{a: steps.book.output.gone}",
            "the output of book has no gone, which ${{a: steps.book.output.gone}} needs",
        ),
        ("steps.pay.output.id", "pay has no output, which ${steps.pay.output.id} needs"),
        ("[input.b]", "input has no b, which ${[input.b]} needs"),
        (
            "steps.book.output.items[*].[kind]",
            "${steps.book.output.items[*].[kind]} has no value:"
            " there is no kind in steps.book.output.items",
        ),
        (
            "length(steps.book.output.none)",
            "${length(steps.book.output.none)} cannot be evaluated: length takes a text or a list"
            " or an object, and is given null: steps.book.output.none is null",
        ),
        (
            "length(steps.book.output.id)",
            "${length(steps.book.output.id)} cannot be evaluated:"
            " length takes a text or a list or an object, and is given a number",
        ),
        (
            "merge(input.a, 'x')",
            "${merge(input.a, 'x')} cannot be evaluated:"
            " merge takes an object, and is given a text",
        ),
        (
            "input.a > `1`",
            "${input.a > `1`} cannot be evaluated:"
            " > compares two numbers or two texts, not an object with a number",
        ),
        (
            "steps.book.output.id > '1'",
            "${steps.book.output.id > '1'} cannot be evaluated:"
            " > compares two numbers or two texts, not a number with a text",
        ),
    ],
)
def test_error_names_the_missing_part_and_its_place(source: str, message: str) -> None:
    with pytest.raises(ExpressionError) as complaint:
        value_of(source)

    assert str(complaint.value) == message


@pytest.mark.parametrize(
    ("source", "holds"),
    [
        ("steps.book.output.id", True),
        ("steps.book.output.none", False),
        ("steps.book.output.gone", False),
        ("steps.pay.output.flag", False),
        ("!(steps.pay.output.flag)", True),
        ("!(steps.book.output.none)", True),
        ("steps.pay.output.flag == 'x'", False),
        ("steps.pay.output.fee > `1`", False),
        ("steps.book.output.none > `1`", False),
        ("steps.book.output.id > `1`", True),
        ("length(steps.pay.output.items) > `0`", False),
        ("contains(steps.book.output.none, 'x')", False),
        ("length(steps.pay.output.items) > `0` || steps.book.output.id", True),
        ("{a: steps.pay.output}", True),
        ("steps.book.output.id && steps.pay.output.id", False),
    ],
)
def test_null_and_absent_are_false_in_a_condition(source: str, holds: bool) -> None:
    assert parse(source).holds(SCOPE) is holds


@pytest.mark.parametrize("source", ["length(steps.book.output.id)", "steps.book.output.id > 'x'"])
def test_condition_on_a_wrong_type_is_an_error(source: str) -> None:
    with pytest.raises(ExpressionError, match="cannot be evaluated"):
        parse(source).holds(SCOPE)
