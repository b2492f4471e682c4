from __future__ import annotations

import json
import time
from contextlib import suppress

import jmespath
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from saga_orchestrator.fsm.expressions.expression import (
    MAX_EXPRESSION_CHARACTERS,
    ExpressionError,
    parse,
)
from saga_orchestrator.fsm.expressions.syntax_tree import Reference
from saga_orchestrator.fsm.formats.json_path import ABSENT, dotted_path, get_path
from saga_orchestrator.fsm.formats.strict_json import Json
from saga_orchestrator.fsm.testing.strategies import json_values, texts

SCOPE: dict[str, Json] = {
    "input": {"items": [{"n": 3, "id": "a"}, {"n": 1, "id": "b"}], "zero": 0, "none": None},
    "steps": {
        "pay": {"output": {"id": "p-7", "fee": 2}, "key": "s/pay/action"},
        "ship": {"output": None, "key": "s/ship/action"},
    },
    "saga": {"id": "s", "error": None},
}
BOMBS = {
    "doubling": "input" + "|[@,@][]" * 20,
    "doubling lists": "input" + "|[@,@]" * 30,
    "wide": "input.items" + "[].[@,@,@,@,@,@,@,@][]" * 7,
    "joined": "input.zero | to_string(@)" + " | join(@, [@,@,@,@,@,@,@,@,@,@])" * 7,
    "mapped": "input.items" + "| map(&[@,@,@,@], [@,@,@,@])" * 9,
}


def value_of(source: str) -> Json:
    return parse(source).evaluate(SCOPE)


@pytest.mark.parametrize(
    ("source", "value"),
    [
        ("input.zero", 0),
        ("input.items[0].id", "a"),
        ("input.items[-1].id", "b"),
        ('"input"."zero"', 0),
        ("input.none", None),
        ("saga.error", None),
        ("steps.pay.key", "s/pay/action"),
        ("steps.pay.output.id", "p-7"),
        ("input.items[*].n", [3, 1]),
        ("sort_by(input.items, &n)[0].id", "b"),
        ("merge(steps.pay.output, {id: `1`})", {"id": 1, "fee": 2}),
        ("{a: input.zero, b: 'x'}", {"a": 0, "b": "x"}),
        ("input.nothing || 'fallback'", "fallback"),
        ("steps.ship.output.id || steps.ship.key", "s/ship/action"),
        ("steps.ship.output.id || steps.pay.output.id", "p-7"),
        ("input.items[?n > `2`].id | [0]", "a"),
        ("length(input.items)", 2),
    ],
)
def test_expression_reads_the_scope(source: str, value: Json) -> None:
    assert value_of(source) == value


@pytest.mark.parametrize(
    "source",
    [
        "length(input.zero)",
        "input.items[::0]",
        "max_by(input.items, &@)",
        "avg(input.items)",
        "nonsense(input)",
    ],
)
def test_failed_evaluation_is_an_expression_error(source: str) -> None:
    with pytest.raises(ExpressionError, match="cannot be evaluated"):
        value_of(source)


@pytest.mark.parametrize(
    ("source", "why"),
    [
        ("sum(input.mixed)", "sum takes a list of numbers, and is given a list with a text in it"),
        ("max(input.several)", "is given a list with a number and a text in it"),
        ("join(', ', input.nested)", "is given a list with a list and null in it"),
        ("input.mixed[::0]", "a slice has a step of 0: write another step"),
        ("sum(input.huge)", "a number has more than 400 digits before or after the point"),
    ],
)
def test_wrong_argument_is_named_in_the_error(source: str, why: str) -> None:
    given: Json = {
        "mixed": ["a"],
        "several": [1, "a"],
        "nested": [[], None],
        "huge": [int("9" * 400)] * 2,
    }

    with pytest.raises(ExpressionError) as refusal:
        parse(source).evaluate({"input": given})

    assert why in str(refusal.value)


@pytest.mark.parametrize(
    "source", ["", " ", "input.", "input[", "a b", "{", "'", "input.items[abc]"]
)
def test_invalid_jmespath_is_refused(source: str) -> None:
    with pytest.raises(ExpressionError, match="is not JMESPath"):
        parse(source)


def test_length_of_an_expression_is_limited() -> None:
    with pytest.raises(ExpressionError, match="longer than"):
        parse("a" * (MAX_EXPRESSION_CHARACTERS + 1))


def test_expression_that_nests_too_deep_is_refused() -> None:
    with pytest.raises(ExpressionError):
        parse("!" * (MAX_EXPRESSION_CHARACTERS - 1) + "a").evaluate(SCOPE)


@pytest.mark.parametrize("bomb", BOMBS.values(), ids=BOMBS.keys())
def test_expression_bomb_is_stopped_fast(bomb: str) -> None:
    started = time.perf_counter()

    with pytest.raises(ExpressionError, match=r"more than|cannot be evaluated"):
        value_of(bomb)

    assert time.perf_counter() - started < 1


@pytest.mark.parametrize(
    ("source", "references"),
    [
        ("input.a[0]", [Reference(("input", "a", 0))]),
        (
            "input.a || steps.b.key",
            [Reference(("input", "a"), True), Reference(("steps", "b", "key"))],
        ),
        ("length(input.a)", [Reference(("input", "a"))]),
        (
            "length(input.a || input.b)",
            [Reference(("input", "a"), True), Reference(("input", "b"))],
        ),
        ("input.a[*].b", [Reference(("input", "a"))]),
        ("input.a.b[].c[0]", [Reference(("input", "a", "b"))]),
        ("input.a.{b: c}", [Reference(("input", "a"))]),
        ("input.a[?b > `1`].c | [0]", [Reference(("input", "a"))]),
        (
            "not_null(input.a, input.b)",
            [Reference(("input", "a"), True), Reference(("input", "b"))],
        ),
        ("sort_by(input.a, &b)", [Reference(("input", "a"))]),
        ("[input.a][0].b", [Reference(("input", "a"))]),
        ("input.a | b", [Reference(("input", "a"))]),
        ("{x: input.a, y: [input.b]}", [Reference(("input", "a")), Reference(("input", "b"))]),
        ("'text'", []),
        ("`1`", []),
    ],
)
def test_references_are_the_paths_that_are_read(source: str, references: list[Reference]) -> None:
    assert list(parse(source).references) == references


def test_reference_names_the_step_whose_output_it_reads() -> None:
    read = [
        parse(source).references[0].step
        for source in ("steps.a.output", "steps.a.key", "input.a.output")
    ]

    assert read == ["a", None, None]


@pytest.mark.parametrize(
    ("path", "text"), [(("input", "a", 0, "b"), "input.a[0].b"), (("a", -1), "a[-1]")]
)
def test_path_is_formatted_like_jmespath(path: tuple[str | int, ...], text: str) -> None:
    assert dotted_path(path) == text


paths = st.lists(texts.filter(bool) | st.integers(-3, 3), min_size=1, max_size=4).map(
    lambda path: (str(path[0]), *path[1:])
)


def quoted(path: tuple[str | int, ...]) -> str:
    keys = [f"[{key}]" if isinstance(key, int) else f".{json.dumps(key)}" for key in path]
    return "".join(keys).removeprefix(".")


@given(paths, json_values, st.data())
def test_plain_path_agrees_with_jmespath(
    path: tuple[str | int, ...], value: Json, data: st.DataObject
) -> None:
    scope: Json = value
    for key in reversed(path):
        scope = [scope, scope, scope] if isinstance(key, int) else {key: scope}
        scope = data.draw(st.sampled_from([scope, scope, scope, value]))
    assume(isinstance(scope, dict))
    expression = parse(quoted(path))

    assert expression.path == path
    at_path = get_path(path, scope)
    assert (None if at_path is ABSENT else at_path) == jmespath.search(quoted(path), scope)


@given(st.text("inputse.[]|&@*?{}:,'\"!() 0-1<>=", max_size=30))
def test_any_text_is_an_expression_or_refused(source: str) -> None:
    with suppress(ExpressionError):
        parse(source).evaluate(SCOPE)


@pytest.mark.parametrize(
    ("source", "steps"),
    [
        ("input.a", set()),
        ("steps.pay.output.id", {"pay"}),
        ("steps.pay.output.id || steps.ship.key", {"pay", "ship"}),
        ("merge(steps.pay.output, {key: steps.ship.key})", {"pay", "ship"}),
        ("steps", None),
        ("{all: steps}", None),
        ("steps.*.output", None),
        ("keys(steps)", None),
        ("@", None),
    ],
)
def test_expression_names_the_steps_that_it_reads(source: str, steps: set[str] | None) -> None:
    assert parse(source).steps_read == steps
