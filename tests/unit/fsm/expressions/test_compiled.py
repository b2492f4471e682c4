from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from saga_orchestrator.fsm.expressions.expression import Expression, ExpressionError, parse
from saga_orchestrator.fsm.formats.strict_json import Json

SHORT = [
    "input.a",
    "{a: input.a, b: input.b[0]}",
    "merge(input.a, {b: input.b})",
    "merge(input.a, input.b, {c: {d: input.c}})",
    "{a: merge(input.a, input.b)}",
    "input.a || input.b",
    "{a: input.a || input.b[0] || input.c}",
]
LONG = [
    "merge()",
    "merge(input.a, keys(input.b))",
    "{a: input.a || 'x'}",
    "input.a || keys(input.b)",
    "input.a && input.b",
    "input.a[*].b",
    "@.a[1:]",
]

values: st.SearchStrategy[Json] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["a", "b", "c", "d"]), inner, max_size=4)
    ),
    max_leaves=12,
)


def outcome_of(expression: Expression, scope: dict[str, Json]) -> Json:
    """What it evaluates to, or what it complains of."""
    try:
        return expression.evaluate(scope)
    except ExpressionError as error:
        return f"{type(error).__name__}: {error}"


@pytest.mark.parametrize("source", SHORT)
@given(given_input=values)
@example(given_input={"a": 0, "b": 1})
@example(given_input={"a": [], "b": "x"})
def test_compiled_expression_agrees_with_the_interpreter(source: str, given_input: Json) -> None:
    short = parse(source)
    scope: dict[str, Json] = {"input": given_input}

    assert outcome_of(short, scope) == outcome_of(replace(short, path=None, compiled=None), scope)


@pytest.mark.parametrize("source", SHORT)
def test_paths_fallbacks_objects_and_merges_are_compiled(source: str) -> None:
    assert parse(source).compiled is not None


@pytest.mark.parametrize("source", LONG)
def test_other_expressions_are_left_to_the_interpreter(source: str) -> None:
    assert parse(source).compiled is None
