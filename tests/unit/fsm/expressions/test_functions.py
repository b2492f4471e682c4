from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st
from saga_orchestrator.fsm.definitions.findings import InvalidDefinition
from saga_orchestrator.fsm.definitions.parser import parse_definition, parse_unverified_definition
from saga_orchestrator.fsm.expressions.expression import ExpressionError, MissingValue, parse
from saga_orchestrator.fsm.expressions.functions import json_equal
from saga_orchestrator.fsm.formats.strict_json import InvalidJson, Json, serialize
from saga_orchestrator.fsm.formats.strict_json import parse as parse_json
from saga_orchestrator.fsm.testing.strategies import json_values, numbers

BIG = "12345678901234567890123456789012345.678"  # more digits than a float or a default Decimal


def computed(source: str, data: Json = None) -> str:
    """As JSON, so that 2 and 2.0 are told apart."""
    return serialize(parse(source).evaluate({"n": data})).decode()


@pytest.mark.parametrize(
    ("source", "result"),
    [
        ("sum([`0.1`, `0.2`, `100.10`])", "100.40"),
        ("sum([`1`, `2`])", "3"),
        ("sum(`[]`)", "0"),
        (f"sum([`{BIG}`, `1e-40`])", f"{BIG}0000000000000000000000000000000000001"),
        ("avg([`0.1`, `0.2`])", "0.15"),
        ("avg([`1`, `1`, `2`])", "1." + "3" * 33),
        ("avg([`2`, `2`, `1`])", "1." + "6" * 32 + "7"),
        (f"abs(`-{BIG}`)", BIG),
        ("abs(`-5`)", "5"),
        (f"ceil(`{BIG}`)", "12345678901234567890123456789012346"),
        (f"floor(`{BIG}`)", "12345678901234567890123456789012345"),
        ("floor(`-1.5`)", "-2"),
        ("max([`2`, `12345678901234567.89`, `12345678901234567.88`])", "12345678901234567.89"),
        ("min([`2.10`, `3`])", "2.10"),
        ("max(['a', 'b'])", '"b"'),
        ("sort([`10`, `9.50`, `1e1`, `0.1`])", "[0.1,9.50,10,1E+1]"),
        ("sort_by([{a: `2.5`}, {a: `1`}], &a)[].a", "[1,2.5]"),
        ("max_by([{a: `0.1`}, {a: `0.10000000000000000001`}], &a).a", "0.10000000000000000001"),
        ("min_by([{a: 'x'}, {a: 'b'}], &a).a", '"b"'),
        (f"to_number('{BIG}')", BIG),
        ("to_number('100.10')", "100.10"),
        ("to_number('7')", "7"),
        ("to_number(`1.50`)", "1.50"),
        ("to_string(`100.10`)", '"100.10"'),
        ("to_string(`1e20`)", '"100000000000000000000"'),
        ("to_string({a: `1.50`, b: 'é'})", '"{\\"a\\":1.50,\\"b\\":\\"é\\"}"'),
        ("to_string(`true`)", '"true"'),
        ("join('-', [to_string(`1.10`), 'x'])", '"1.10-x"'),
        ("type(`1.5`)", '"number"'),
        ("type(`1`)", '"number"'),
        ("contains([`1.0`], `1`)", "true"),
        ("contains([`1`], `true`)", "false"),
        ("contains([[`0`]], [`false`])", "false"),
        ("contains('ab1', `1`)", "false"),
        ("`50` == `50.00`", "true"),
        ("`0.1` == `0.10000000000000000001`", "false"),
        ("`1` == `true`", "false"),
        ("[`1`] == [`true`]", "false"),
        ("{a: `1`} != {a: `true`}", "true"),
        ("`12345678901234567.89` > `12345678901234567.88`", "true"),
        ("`9007199254740993` > `9007199254740992.5`", "true"),
        ("`0.30` >= `0.3`", "true"),
        ("`12345678901234567.89`", "12345678901234567.89"),
        ('`{"a": [1.50, "`\\`"]}`'.replace("`\\`", "\\`"), '{"a":[1.50,"`"]}'),
        ("[`0.1`, `2`][?@ > `1.5`] | [0]", "2"),
    ],
)
def test_expressions_compute_exactly(source: str, result: str) -> None:
    assert computed(source) == result


@pytest.mark.parametrize(
    "source",
    [
        "avg(`[]`)",
        "max(`[]`)",
        "max_by(`[]`, &a)",
        "to_number('nan')",
        "to_number('Infinity')",
        "to_number('1e400')",
        "to_number('x')",
        "to_number(`true`)",
    ],
)
def test_null_result_of_a_function_is_absent(source: str) -> None:
    with pytest.raises(MissingValue):
        computed(source)


def test_literal_keeps_its_place_in_the_expression() -> None:
    data: Json = parse_json('[{"b": 1.1, "c": [{"d": 2.5, "e": 3}]}]')

    assert computed("n[?b == `1.10`].{x: c[?d == `2.50`].e} | [0].x[0]", data) == "3"


@pytest.mark.parametrize("literal", ["1e400", "NaN", "1" * 401, '{"a": 1, "a": 2}'])
def test_unstorable_literal_is_refused_unless_registered_before(
    literal: str,
) -> None:
    call: Json = {"path": "/", "body": f"${{[`{literal}`]}}"}
    step: Json = {"name": "pay", "participant": "bank", "effect": "none", "action": call}
    document: Json = {"saga": "trip", "version": 1, "steps": [step]}

    with pytest.raises(InvalidDefinition, match="is not JSON that can be kept"):
        parse_definition(document)
    assert parse_unverified_definition(document).name == "trip"


@pytest.mark.parametrize("literal", ["NaN", "Infinity", "-Infinity"])
def test_nan_never_becomes_null(literal: str) -> None:
    with pytest.raises(InvalidJson):
        computed(f"[`{literal}`]")


def test_repeated_comparison_of_large_values_is_stopped() -> None:
    large = list(range(10_000))

    with pytest.raises(ExpressionError, match="more than 100000 elements"):
        parse("n[?@ == @ && @ != `0`]").evaluate({"n": [large] * 20})


@pytest.mark.parametrize(
    "source",
    [
        "sum([n, n])",
        "abs('x')",
        "abs(`true`)",
        "sum([`1`, 'a'])",
        "max([`1`, 'a'])",
        "sort_by([{a: `1`}, {a: 'x'}], &a)",
        "max_by([{a: `null`}], &a)",
        "ceil(`1`, `2`)",
        "length(`1.5`)",
        "not_null()",
    ],
)
def test_result_that_cannot_be_stored_is_an_error(source: str) -> None:
    with pytest.raises(ExpressionError, match="cannot be evaluated"):
        computed(source, 10**400 - 1)


@given(st.lists(numbers, max_size=8))
def test_sum_is_exact(values: list[int | Decimal]) -> None:
    total = parse("sum(n)").evaluate({"n": values})

    assert Fraction(total) == sum(map(Fraction, values))  # type: ignore[arg-type]


@given(st.lists(numbers, min_size=1, max_size=8))
def test_average_is_exact_to_34_digits(values: list[int | Decimal]) -> None:
    mean = Fraction(parse("avg(n)").evaluate({"n": values}))  # type: ignore[arg-type]
    exact = Fraction(sum(map(Fraction, values)), len(values))

    assert abs(mean - exact) <= abs(exact) * Fraction(1, 10**33)


@given(numbers, numbers)
def test_comparisons_are_exact(left: int | Decimal, right: int | Decimal) -> None:
    seen = [
        parse(f"n[0] {operator} n[1]").evaluate({"n": [left, right]})
        for operator in ("<", "<=", "==", "!=", ">=", ">")
    ]

    a, b = Fraction(left), Fraction(right)
    assert seen == [a < b, a <= b, a == b, a != b, a >= b, a > b]


@given(st.lists(numbers, min_size=1, max_size=8))
def test_order_is_exact(values: list[int | Decimal]) -> None:
    assert parse("sort(n)").evaluate({"n": values}) == sorted(values, key=Fraction)
    assert parse("max(n)").evaluate({"n": values}) == max(values, key=Fraction)
    assert parse("min(n)").evaluate({"n": values}) == min(values, key=Fraction)


@given(json_values)
def test_value_equals_itself_after_a_round_trip(value: Json) -> None:
    assert json_equal(value, parse_json(serialize(value)))


@pytest.mark.parametrize(
    ("left", "right"),
    [(1, True), ([0], [False]), ({"a": 1}, {"a": True}), ({"a": 1}, {"b": 1}), ([1], [1, 1])],
)
def test_different_json_values_are_not_equal(left: Json, right: Json) -> None:
    assert not json_equal(left, right)


def test_python_float_equals_the_decimal_that_it_shows() -> None:
    assert json_equal(0.1, Decimal("0.10"))
    assert parse("sum(n)").evaluate({"n": [0.1, 0.2]}) == Decimal("0.3")  # type: ignore[list-item]
    assert parse("n > `0.1` || n < `0.1`").evaluate({"n": 0.1}) is False  # type: ignore[dict-item]
