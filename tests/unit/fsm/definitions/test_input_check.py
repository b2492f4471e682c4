from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from saga_orchestrator.fsm.definitions.definition import Definition
from saga_orchestrator.fsm.definitions.findings import InvalidInput
from saga_orchestrator.fsm.definitions.input_check import check_input, merged_input
from saga_orchestrator.fsm.definitions.parser import parse_definition
from saga_orchestrator.fsm.expressions.expression import ExpressionError, MissingValue, parse
from saga_orchestrator.fsm.formats.strict_json import Json, JsonObject
from saga_orchestrator.tests.support.order_definition import order_definition

EXPRESSIONS = [
    "input.a",
    "[input.a, {b: input.b.a}]",
    "input.a || input.b",
    "{x: input.a || input.b.c || input.c}",
    "merge(input.a, {b: input.b}) || input.c",
    "input.a && input.b",
    "[input.a && input.b || input.c]",
    "not_null(input.a, input.b.a, input.c)",
    "to_array(input.a || [input.b])",
    "input.a == input.b || input.c",
    "[!(input.a), type(input.b)]",
]
values: st.SearchStrategy[Json] = st.recursive(
    st.none() | st.booleans() | st.integers(0, 2) | st.just(""),
    lambda inner: st.dictionaries(st.sampled_from(["a", "b", "c"]), inner, max_size=3),
    max_leaves=4,
)
inputs = st.dictionaries(st.sampled_from(["a", "b", "c"]), values, max_size=3)
DATA: list[Json] = [{"amount": 1}, {"card": 2}, {"confirm": 3}]


def trip(*steps: dict[str, Json]) -> Definition:
    common: dict[str, Json] = {"participant": "hotel", "effect": "none"}
    named = [
        {"name": f"step_{number}", **({} if "saga" in step else common), **step}
        for number, step in enumerate(steps)
    ]
    return parse_definition({"saga": "trip", "version": 1, "steps": named})


def missing(definition: Definition, given: JsonObject) -> list[str]:
    """The pointers that `check_input` complains of."""
    try:
        check_input(definition, given)
    except InvalidInput as refusal:
        return [finding.pointer for finding in refusal.findings if finding.code == "missing-input"]
    return []


def missing_for(expression: str, given: JsonObject) -> list[str]:
    return missing(trip({"action": {"path": "/", "body": {"x": f"${{{expression}}}"}}}), given)


def test_order_requires_the_data_of_each_step() -> None:
    check_input(order_definition(), {"step_data": DATA})
    check_input(order_definition(), {"step_data": [{}, {}, {}]})

    with pytest.raises(InvalidInput) as refusal:
        check_input(order_definition(), {"step_data": DATA[:1]})

    assert {finding.pointer: finding.code for finding in refusal.value.findings} == {
        "/step_data/1": "missing-input",
        "/step_data/2": "missing-input",
        "/step_data": "input-misfit",
    }
    assert refusal.value.findings[0].detail == (
        "input.step_data[1] is missing, and needed by process_payment:"
        " ${merge(input.step_data[1], {order_id: steps.create_order.outp…}"
    )


def request(**call: Json) -> dict[str, Json]:
    return {"action": {"path": "/", **call}}


A: Json = "${input.a}"
PLACES: dict[str, tuple[dict[str, Json], ...]] = {
    "path": (request(path="/${input.a}"),),
    "header": (request(headers={"X-A": A}),),
    "text": (request(body="x${input.a}"),),
    "body": (request(body=A),),
    "member": (request(body={"a": [{"b": A}]}),),
    "texts": (request(body={"list": ["x${input.a}", "y${input.a}"]}),),
    "compensation": (
        {
            **request(),
            "effect": None,
            "compensation": {"path": "/undo", "body": {"a": A}},
        },
    ),
    "status": ({**request(), "status": {"path": "/${input.a}"}},),
    "child": ({"saga": {"type": "other", "input": {"a": A}}},),
    "later step": (request(), request(body=A)),
}


@pytest.mark.parametrize("steps", PLACES.values(), ids=PLACES.keys())
def test_missing_part_that_a_call_or_child_needs_is_refused(
    steps: tuple[dict[str, Json], ...],
) -> None:
    definition = trip(*steps)

    assert missing(definition, {}) == ["/input/a"]
    assert missing(definition, {"a": "x"}) == []


@pytest.mark.parametrize("place", ["body", "member", "compensation", "child"])
def test_null_is_a_value_of_the_input(place: str) -> None:
    assert missing(trip(*PLACES[place]), {"a": None}) == []


@pytest.mark.parametrize("place", ["path", "header", "text", "status"])
def test_null_in_a_text_is_refused(place: str) -> None:
    assert missing(trip(*PLACES[place]), {"a": None}) == ["/input/a"]


@pytest.mark.parametrize(
    ("expression", "given", "pointers"),
    [
        ("input", {}, []),
        ("input.a.b", {"a": {}}, ["/input/a/b"]),
        ("input.a.b", {"a": None}, ["/input/a/b"]),
        ("input.a[1]", {"a": [1]}, ["/input/a/1"]),
        ("[input.a, input.b]", {}, ["/input/a", "/input/b"]),
        ("merge(steps.step_0.key && input.a, {b: input.b})", {"a": {}}, ["/input/b"]),
        ("length(input.a)", {"a": None}, ["/input/a"]),
        ("contains(input.a, input.b)", {"a": [], "b": None}, []),
        ("to_string(input.a)", {"a": None}, []),
        ("to_string(input.a)", {}, ["/input/a"]),
        ("to_number(input.a)", {"a": None}, ["/input/a"]),
        ("input.a == 'x'", {}, ["/input/a"]),
        ("!(input.a)", {}, ["/input/a"]),
        ("input.a[*].b", {"a": [{}]}, []),
        ("input.a[*].b", {"a": None}, ["/input/a"]),
        ("input.a[?b == 'x'].c", {"a": []}, []),
        ("input.a.{b: b}", {}, ["/input/a"]),
        ("sort_by(input.a, &b)", {"a": []}, []),
        ("input.a | [0]", {}, ["/input/a"]),
        ("input.a || 'none'", {}, []),
        ("input.a || input.b", {"b": 1}, []),
        ("input.a || input.b", {"a": 1}, []),
        ("input.a || input.b", {"a": False}, ["/input/b"]),
        ("input.a || input.b", {}, ["/input/a", "/input/b"]),
        ("input.a || input.b || input.c", {"b": None, "c": 1}, []),
        ("{x: {y: input.a || 'none', z: input.b}}", {}, ["/input/b"]),
        ("merge(input.a, {b: input.b}) || 'none'", {}, []),
        ("steps.step_0.key || input.a", {}, []),
        ("not_null(input.a, input.b)", {"b": 1}, []),
        ("not_null(input.a, input.b)", {"a": None}, ["/input/b"]),
        ("not_null(input.a, input.b)", {"a": None, "b": None}, ["/input/b"]),
        ("not_null(input.a, input.b)", {"a": ""}, []),
        ("input.a && input.b", {"a": 0, "b": 1}, []),
        ("input.a && input.b", {"a": False}, []),
        ("input.a && input.b", {"a": 1}, ["/input/b"]),
        ("input.a && input.b", {}, ["/input/a"]),
        ("'not_null' || input.b", {}, []),
    ],
)
def test_expression_requires_parts_without_a_fallback(
    expression: str, given: JsonObject, pointers: list[str]
) -> None:
    assert missing_for(expression, given) == pointers


@pytest.mark.parametrize(
    ("when", "given", "pointers"),
    [
        ("input.a", {}, []),
        ("input.a", {"a": None}, []),
        ("input.insured", {"insured": False}, []),
        ("input.insured", {"insured": True}, ["/input/a"]),
        ("input.kind == 'x'", {}, []),
        ("input.kind == 'x'", {"kind": "x"}, ["/input/a"]),
        ("!(input.kind)", {}, ["/input/a"]),
        ("steps.step_0.output.ok", {}, ["/input/a"]),
        ("steps.step_0.output.ok && input.a", {}, []),
        ("steps.step_0.output.ok || input.a", {}, ["/input/a"]),
        ("input.a || input.b", {}, []),
    ],
)
def test_skipped_step_requires_nothing(when: str, given: JsonObject, pointers: list[str]) -> None:
    definition = trip(request(), {**request(body={"a": A}), "when": f"${{{when}}}"})

    assert missing(definition, given) == pointers


@given(st.sampled_from(EXPRESSIONS), inputs)
def test_accepted_input_is_never_missing_later(expression: str, data: JsonObject) -> None:
    """Of an expression that reads nothing else: the check says what its evaluation says."""
    try:
        parse(expression).evaluate({"input": data})
        lacks = False
    except MissingValue as error:
        lacks = bool(error.paths)
    except ExpressionError:
        return

    assert bool(missing_for(expression, data)) == lacks


def test_input_has_the_given_members_and_step_data() -> None:
    assert merged_input(None, None) == {}
    assert merged_input({"a": 1}, DATA) == {"a": 1, "step_data": DATA}
    assert merged_input({"step_data": 1}, None) == {"step_data": 1}
    assert merged_input({"a": 1}, []) == {"a": 1, "step_data": []}


WITH_INPUT: JsonObject = {
    "saga": "trip",
    "version": 1,
    "input": {
        "required": ["amount"],
        "properties": {
            "amount": {"type": "number"},
            "step_data": {"items": {"type": "object"}},
            "note": {"type": "string"},
        },
        "additionalProperties": False,
    },
    "steps": [
        {
            "name": "book",
            "participant": "hotel",
            "effect": "none",
            "action": {"path": "/${input.note}", "body": "${input.amount}"},
        }
    ],
}


@pytest.mark.parametrize(
    ("given", "reported"),
    [
        (
            {},
            [("/input/to", "missing-input", "input.to is missing")],
        ),
        (
            {"to": "Main Street"},
            [("/input/to", "input-misfit", "input.to must be an object, not a text")],
        ),
        (
            {"to": {}},
            [
                (
                    "/input/to/street",
                    "missing-input",
                    "input.to.street is missing, and needed by step_0: ${input.to.street}",
                ),
                (
                    "/input/to/town",
                    "missing-input",
                    "input.to.town is missing, and needed by step_1:"
                    " ${merge(input.to, {town: input.to.town, street: input.to.stree…}",
                ),
            ],
        ),
    ],
)
def test_each_place_is_reported_once(
    given: JsonObject, reported: list[tuple[str, str, str]]
) -> None:
    long = "${merge(input.to, {town: input.to.town, street: input.to.street, full: `true`})}"
    bodies = ["${input.to.street}", long, "${input.to}", long]
    steps: list[Json] = [
        {
            "name": f"step_{number}",
            "participant": "p",
            "effect": "none",
            "action": {"path": "/", "body": body},
        }
        for number, body in enumerate(bodies)
    ]
    schema: JsonObject = {"required": ["to"], "properties": {"to": {"type": "object"}}}
    definition = parse_definition({"saga": "trip", "version": 1, "input": schema, "steps": steps})

    with pytest.raises(InvalidInput) as refusal:
        check_input(definition, given)

    assert [
        (finding.pointer, finding.code, finding.detail) for finding in refusal.value.findings
    ] == reported


@pytest.mark.parametrize(
    ("given", "reported"),
    [
        ({"amount": 1, "note": "a"}, {}),
        ({"amount": 1, "note": "a", "step_data": [{}]}, {}),
        ({"amount": "1", "note": "a"}, {"/input/amount": "must be a number, not a text"}),
        (
            {"note": "a"},
            {"/input/amount": "is missing"},
        ),
        (
            {"amount": 1, "note": "a", "nite": "a"},
            {"/input/nite": "is not expected; did you mean note?"},
        ),
        (
            {"amount": 1, "note": "a", "step_data": [{}, 1]},
            {"/step_data/1": "must be an object, not a number"},
        ),
        (
            {"amount": 1, "note": "a", "step_data": {}},
            {},
        ),
        (
            {"amount": True},
            {
                "/input/note": "is missing, and needed by book: ${input.note}",
                "/input/amount": "must be a number, not true or false",
            },
        ),
    ],
)
def test_input_must_fit_the_schema(given: JsonObject, reported: dict[str, str]) -> None:
    """A place is that of the request, in which `step_data` stands beside the input."""
    definition = parse_definition(WITH_INPUT)
    findings = {}
    try:
        check_input(definition, given)
    except InvalidInput as refusal:
        findings = {finding.pointer: finding.detail for finding in refusal.findings}

    places = {pointer: pointer.removeprefix("/input") for pointer in reported}
    assert findings == {
        pointer: "input" + places[pointer].replace("/1", "[1]").replace("/", ".") + f" {why}"
        for pointer, why in reported.items()
    }


@pytest.mark.parametrize(
    "given",
    [{"step_data": [{}, {}, {}]}, {"step_data": DATA, "coupon": "X"}, {"step_data": [*DATA, 4]}],
)
def test_order_schema_requires_no_more_than_the_steps_use(given: JsonObject) -> None:
    check_input(order_definition(), given)


@pytest.mark.parametrize(
    ("step_data", "pointers"),
    [
        (None, ["/step_data"]),
        ({}, ["/step_data/0", "/step_data/1", "/step_data/2", "/step_data"]),
        ([{}, {}], ["/step_data/2", "/step_data"]),
        ([{}, 1, {}], ["/step_data/1"]),
        ([{}, {}, "x"], ["/step_data/2"]),
    ],
)
def test_order_without_the_data_of_a_step_is_refused(step_data: Json, pointers: list[str]) -> None:
    with pytest.raises(InvalidInput) as refusal:
        check_input(order_definition(), merged_input({}, step_data))

    assert [finding.pointer for finding in refusal.value.findings] == pointers
