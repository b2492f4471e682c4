from __future__ import annotations

from decimal import Decimal
from urllib.parse import unquote

import pytest
from hypothesis import given
from saga_orchestrator.fsm.expressions.expression import ExpressionError, MissingValue
from saga_orchestrator.fsm.expressions.template import (
    Literal,
    expressions,
    make_lenient,
    parse_template,
    parse_text,
    render,
    render_path,
    render_text,
    steps_read,
)
from saga_orchestrator.fsm.formats.strict_json import Json
from saga_orchestrator.fsm.testing.strategies import json_values, texts

SCOPE: dict[str, Json] = {
    "input": {
        "n": 5,
        "price": Decimal("1.5"),
        "yes": True,
        "no": False,
        "none": None,
        "name": "a b/c",
        "list": [1],
        "dots": "..",
        "empty": "",
    }
}


def rendered(value: Json) -> Json:
    return render(parse_template(value), SCOPE)


@pytest.mark.parametrize(
    ("template", "value"),
    [
        ("${input.n}", 5),
        ("${input.yes}", True),
        ("${input.none}", None),
        ("${input.list}", [1]),
        (" ${input.n}", " 5"),
        ("${input.n}${input.n}", "55"),
        ("n=${input.n}, ${input.price} ${input.yes} ${input.no}", "n=5, 1.5 true false"),
        ("plain", "plain"),
        ("", ""),
        ("$ {input.n} $input }", "$ {input.n} $input }"),
        ("${{a: input.n}}", {"a": 5}),
        ("${ {a: {b: input.n}} }!", None),
        ("${'}'}", "}"),
        ("${'it\\'s }'}", "it's }"),
        ('${input."n"}', 5),
        ('${`{"}": 1}`}', {"}": 1}),
        ("${'{'}-${input.n}", "{-5"),
        ({"a": ["${input.n}", {"b": "${input.name}"}], "c": 1}, {"a": [5, {"b": "a b/c"}], "c": 1}),
        ([None, True, 1.5], [None, True, 1.5]),
    ],
)
def test_template_is_json_with_expressions(template: Json, value: Json) -> None:
    if value is None and template != "${input.none}":
        with pytest.raises(ExpressionError, match="cannot stand in a text"):
            rendered(template)
    else:
        assert rendered(template) == value


def test_member_that_is_one_expression_may_be_null() -> None:
    assert rendered({"a": "${input.none}"}) == {"a": None}


def test_text_requires_its_values() -> None:
    with pytest.raises(MissingValue, match="input has no nothing"):
        rendered("x${input.nothing}")


@pytest.mark.parametrize(("name", "what"), [("none", "null"), ("list", "a list")])
def test_null_and_lists_cannot_stand_in_a_text(name: str, what: str) -> None:
    with pytest.raises(ExpressionError, match=f"is {what}, which cannot stand in a text"):
        rendered(f"x${{input.{name}}}")


@pytest.mark.parametrize("depth", [0, 1, 2])
def test_lenient_template_has_null_for_absent_values_below_its_roots(depth: int) -> None:
    template: Json = {"a": "${[input.gone]}", "b": "${input.n}", "c": ["x${to_string(input.gone)}"]}
    expected: Json = {"a": [None], "b": 5, "c": ["xnull"]}
    for _ in range(depth):
        template, expected = [template], [expected]

    assert render(make_lenient(parse_template(template), ["input"]), SCOPE) == expected
    with pytest.raises(MissingValue):
        render(make_lenient(parse_template(template), ["steps"]), SCOPE)


@pytest.mark.parametrize("text", ["${input.n", "${", "a ${'}", "${{a: b}", '${"}'])
def test_expression_must_be_closed(text: str) -> None:
    with pytest.raises(ExpressionError, match="is not closed"):
        parse_template(text)


@pytest.mark.parametrize("text", ["${}", "${ }", "${input.}"])
def test_text_in_braces_must_be_an_expression(text: str) -> None:
    with pytest.raises(ExpressionError, match="is not JMESPath"):
        parse_template(text)


def test_text_without_an_expression_is_unchanged() -> None:
    assert render_text(parse_text("${input.n}"), SCOPE) == "5"
    assert render_text(parse_text(""), SCOPE) == ""


def test_value_in_a_path_is_one_segment() -> None:
    path = parse_text("/orders/${input.name}/items/${input.n}?all=${input.yes}")

    assert render_path(path, SCOPE) == "/orders/a%20b%2Fc/items/5?all=true"


@pytest.mark.parametrize("name", ["dots", "empty", "none"])
def test_dot_segment_is_refused(name: str) -> None:
    with pytest.raises(ExpressionError):
        render_path(parse_text(f"/orders/${{input.{name}}}"), SCOPE)


@pytest.mark.parametrize("value", [".", "..", ""])
def test_dot_as_a_value_is_refused(value: str) -> None:
    with pytest.raises(ExpressionError, match="cannot be a segment of a path"):
        render_path(parse_text("/orders/${input}"), {"input": value})


@given(texts)
def test_text_in_a_path_survives_percent_encoding(value: str) -> None:
    if value in ("", ".", ".."):
        return
    segment = render_path(parse_text("${input}"), {"input": value})

    assert unquote(segment) == value
    assert segment.isascii()
    assert not set(segment) & set("/?#\r\n &")


@given(json_values)
def test_json_without_an_expression_is_unchanged(value: Json) -> None:
    template = parse_template(value)

    assert template == Literal(value) or list(expressions(template))
    assert list(expressions(template)) or render(template, {}) == value


def test_all_expressions_of_a_template_are_listed() -> None:
    template = parse_template({"a": ["${input.n}", "x${input.name}y${input.yes}"], "b": 1})

    assert [expression.source for expression in expressions(template)] == [
        "input.n",
        "input.name",
        "input.yes",
    ]


def test_steps_read_by_templates_are_the_union_of_each() -> None:
    plain = parse_template({"a": "${steps.pay.key}", "b": ["x${steps.ship.output.id}", 1]})

    assert steps_read([plain, parse_text("/${input.n}")]) == {"pay", "ship"}
    assert steps_read([plain, parse_template("${keys(steps)}")]) is None
