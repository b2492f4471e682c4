from __future__ import annotations

import pytest
from saga_orchestrator.fsm.errors import InvalidInput
from saga_orchestrator.fsm.input_check import check_input, merged_input, needed_input
from saga_orchestrator.fsm.reader import read_definition
from saga_orchestrator.fsm.strict_json import Json, JsonObject
from saga_orchestrator.fsm.testing import order_definition

DATA: list[Json] = [{"amount": 1}, {"card": 2}, {"confirm": 3}]


def missing(given: JsonObject, **action: Json) -> list[tuple[str, str]]:
    """What `check_input` complains of, with one step that has this action."""
    step: Json = {
        "name": "book",
        "participant": "hotel",
        "effect": "none",
        "action": {"path": "/", **action},
    }
    definition = read_definition({"saga": "trip", "version": 1, "steps": [step]})
    try:
        check_input(definition, given)
    except InvalidInput as refusal:
        return [(one.code, one.pointer) for one in refusal.findings]
    return []


def test_an_order_needs_the_data_that_are_merged() -> None:
    check_input(order_definition(), {"step_data": DATA})

    with pytest.raises(InvalidInput) as refusal:
        check_input(order_definition(), {"step_data": DATA[:1]})

    assert {one.pointer: one.code for one in refusal.value.findings} == {
        "/step_data/1": "missing-input",
        "/step_data/2": "missing-input",
        "/step_data": "input-misfit",
    }
    assert refusal.value.findings[0].detail == (
        "input.step_data[1] is missing, and needed by process_payment:"
        " ${merge(input.step_data[1], {order_id: steps.create_order.output.order_id})}"
    )


def test_what_is_needed_is_named_with_who_needs_it() -> None:
    assert {
        path: by.partition(":")[0] for path, by in needed_input(order_definition()).items()
    } == {
        ("input", "step_data", 1): "process_payment",
        ("input", "step_data", 2): "confirm_order",
    }


@pytest.mark.parametrize(
    ("action", "pointers"),
    [
        ({"path": "/${input.a}"}, ["/input/a"]),
        ({"headers": {"X-A": "${input.a.b}"}}, ["/input/a/b"]),
        ({"body": "x${input.a}"}, ["/input/a"]),
        ({"body": {"list": ["x${input.a}", "y${input.a}"]}}, ["/input/a"]),
        ({"body": "${length(input.a)}"}, ["/input/a"]),
        ({"body": "${input.a}"}, []),
        ({"body": {"a": "${input.a}"}}, []),
        ({"path": "/${input.a || 'b'}"}, []),
        ({"body": "${input}"}, []),
    ],
)
def test_what_is_put_into_a_text_or_a_function_must_be_there(
    action: dict[str, Json], pointers: list[str]
) -> None:
    assert missing({}, **action) == [("missing-input", pointer) for pointer in pointers]
    assert missing({"a": {"b": "c"}} if "b}" in str(action) else {"a": "x"}, **action) == []


def test_null_is_as_good_as_missing_where_a_value_is_needed() -> None:
    assert missing({"a": None}, path="/${input.a}") == [("missing-input", "/input/a")]


def test_the_input_is_the_given_members_and_the_step_data() -> None:
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
    ("given", "told"),
    [
        ({"amount": 1, "note": "a"}, {}),
        ({"amount": 1, "note": "a", "step_data": [{}]}, {}),
        ({"amount": "1", "note": "a"}, {"/input/amount": "must be a number, not a text"}),
        ({"note": "a"}, {"/input/amount": "is missing"}),
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
def test_an_input_fits_the_schema_of_its_definition(
    given: JsonObject, told: dict[str, str]
) -> None:
    """A place is that of the request, in which `step_data` stands beside the input."""
    definition = read_definition(WITH_INPUT)
    findings = {}
    try:
        check_input(definition, given)
    except InvalidInput as refusal:
        findings = {one.pointer: one.detail for one in refusal.findings}

    places = {pointer: pointer.removeprefix("/input") for pointer in told}
    assert findings == {
        pointer: "input" + places[pointer].replace("/1", "[1]").replace("/", ".") + f" {why}"
        for pointer, why in told.items()
    }


@pytest.mark.parametrize(
    "given",
    [{"step_data": [{}, {}, {}]}, {"step_data": DATA, "coupon": "X"}, {"step_data": [*DATA, 4]}],
)
def test_an_order_asks_for_no_more_than_its_steps_use(given: JsonObject) -> None:
    check_input(order_definition(), given)


@pytest.mark.parametrize(
    ("step_data", "pointers"),
    [
        (None, ["/step_data/1", "/step_data/2", "/step_data"]),
        ({}, ["/step_data/1", "/step_data/2", "/step_data"]),
        ([{}, {}], ["/step_data/2", "/step_data"]),
        ([{}, 1, {}], ["/step_data/1"]),
        ([{}, {}, "x"], ["/step_data/2"]),
    ],
)
def test_an_order_that_lacks_what_a_step_sends_is_refused(
    step_data: Json, pointers: list[str]
) -> None:
    with pytest.raises(InvalidInput) as refusal:
        check_input(order_definition(), merged_input({}, step_data))

    assert [one.pointer for one in refusal.value.findings] == pointers
