"""An author who writes an expression as in another language is told how it is written here."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from saga_orchestrator.fsm.definitions.findings import InvalidDefinition
from saga_orchestrator.fsm.definitions.parser import parse_definition
from saga_orchestrator.fsm.expressions.expression import ExpressionError, parse
from saga_orchestrator.fsm.expressions.syntax_hints import NO_ARITHMETIC_MESSAGE
from saga_orchestrator.fsm.formats.strict_json import Json, JsonObject
from saga_orchestrator.tests.unit.fsm.definitions.verifier.fault import call, findings, step


@pytest.mark.parametrize(
    ("source", "hint"),
    [
        ("input.a == 1", "write `1`, between backticks, for a number"),
        ("input.a > -5", "write `-5`, between backticks, for a number"),
        ("input.a == 1.5", "write `1.5`, between backticks, for a number"),
        ("length(input.a) > 3", "write `3`, between backticks, for a number"),
        ("{a: 1}", "write `1`, between backticks, for a number"),
        ("1", "write `1`, between backticks, for a number"),
        ("[1, 2]", "write `1` for a number in a list"),
        ("not input.a", "write ! for not, as in !(input.a)"),
        ("input.a && not input.b", "write ! for not, as in !(input.a)"),
        ("input.a and input.b", "write &&"),
        ("input.a OR input.b", "write ||"),
        ("input.a = 'x'", "write =="),
        ("input.a === 'x'", "write =="),
        ("input.a is 'x'", "write =="),
        ("input.a <> 'x'", "write != for different"),
        ("input.a in ['x']", "write contains(list, value)"),
        ("input.a ? 'x' : 'y'", "write a && b || c for one value or another"),
        ('input["a b"]', 'write ."a b" for a member, without brackets'),
        ("input['a']", 'write ."a" for a member, without brackets'),
        ("input.a[input.b]", "only a number stands in brackets as an index"),
        ("input.a.0", "write [0] without a point for an entry"),
        ("input.2a", 'write "2a" in quotes for a name with a digit first'),
        (
            "input.a-b",
            f'a name with a - is written in quotes, as in "a-b"; {NO_ARITHMETIC_MESSAGE}',
        ),
        (
            "input.a-1",
            f'a name with a - is written in quotes, as in "a-1"; {NO_ARITHMETIC_MESSAGE}',
        ),
        ("steps.a-b-c.output", f'is written in quotes, as in "a-b-c"; {NO_ARITHMETIC_MESSAGE}'),
        ("input.a - b", NO_ARITHMETIC_MESSAGE),
        ("input.a + input.b", NO_ARITHMETIC_MESSAGE),
        ("input.a * input.b", NO_ARITHMETIC_MESSAGE),
        ("input.a / input.b", NO_ARITHMETIC_MESSAGE),
        ("input.a % input.b", NO_ARITHMETIC_MESSAGE),
        ("$input.a", "leave it out, for ${...} stands around the whole expression"),
        ("input.a == {}", "write `{}`, between backticks, for an empty object"),
    ],
)
def test_common_mistake_is_refused_with_a_hint(source: str, hint: str) -> None:
    with pytest.raises(ExpressionError) as refusal:
        parse(source)

    assert str(refusal.value).startswith(f"${{{source}}} is not JMESPath: ")
    assert str(refusal.value).endswith(hint)


@given(st.text("inputnot and or is [\"'].-+*/%?=<>{}$0123a_é", max_size=20))
def test_any_text_is_parsed_or_refused_with_a_message(source: str) -> None:
    with suppress(ExpressionError):
        parse(source)


@pytest.mark.parametrize(
    ("source", "why"),
    [
        ('input.a == "abc"', "write input.abc for a member, or 'abc' for a text"),
        ("abc", "write input.abc for a member, or 'abc' for a text"),
        ("order.id", "write input.order.id for a member, or 'order.id' for a text"),
        ("true", "write `true`, between backticks, for true itself"),
        ("input.a == False", "write `false`, between backticks, for false itself"),
        ("input.a || null", "write `null`, between backticks, for null itself"),
        ("imput.a", "imput.a does not begin with input, steps, saga; did you mean input?"),
    ],
)
def test_unknown_root_is_refused_with_a_suggestion(source: str, why: str) -> None:
    (finding,) = findings(document(step("book", action=call("/", body=f"${{{source}}}"))))

    assert finding.code == "unknown-reference"
    assert finding.detail.endswith(why)


@pytest.mark.parametrize(
    ("source", "why"),
    [
        ("id", "write response.body.id for a member, or 'id' for a text"),
        (
            "response.id",
            "response.id does not begin with response.body; did you mean response.body?",
        ),
    ],
)
def test_output_outside_the_body_is_refused_with_a_suggestion(source: str, why: str) -> None:
    (finding,) = findings(document(step("book", output={"id": f"${{{source}}}"})))

    assert finding.detail.endswith(why)


@pytest.mark.parametrize(
    ("condition", "meant"),
    [
        ("$input.a", ": write ${input.a}"),
        ("{{input.a}}", ": write ${input.a}"),
        ("{{ input.a }}", ": write ${input.a}"),
        ("input.a", ": write ${input.a}"),
        ("${input.a} == 'x'", ": write ${input.a == 'x'}"),
        ("${input.a} && ${input.b}", ": write ${input.a && input.b}"),
        ("always", ""),
        ("on a + b", ""),
    ],
)
def test_text_as_a_condition_is_refused_with_a_suggestion(condition: str, meant: str) -> None:
    (finding,) = findings(document(step("book", when=condition)))

    assert finding.code == "bad-condition"
    assert finding.detail.endswith(f"${{...}}, with nothing around it{meant}")


def test_invalid_condition_is_one_finding() -> None:
    with pytest.raises(InvalidDefinition) as refusal:
        parse_definition(document(step("book", when="${input.a == 1}")))

    assert [finding.code for finding in refusal.value.findings] == ["bad-expression"]


def document(*steps: Json) -> JsonObject:
    return {"saga": "trip", "version": 1, "steps": list(steps)}
