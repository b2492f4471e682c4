"""What is read of the input, against what is declared of it: nothing that fits is complained of."""

from __future__ import annotations

from time import process_time

import pytest
from saga_orchestrator.fsm.definitions.parser import parse_unverified_definition
from saga_orchestrator.fsm.definitions.verifier import verify
from saga_orchestrator.fsm.definitions.verifier.inputs import check_input_is_declared
from saga_orchestrator.fsm.formats.strict_json import Json, JsonObject
from saga_orchestrator.tests.support.order_definition import order_definition
from saga_orchestrator.tests.unit.fsm.definitions.verifier.fault import Fault, call, step

ADDRESS: JsonObject = {
    "type": "object",
    "required": ["street"],
    "properties": {"street": {"type": "string"}, "zip": {"type": ["string", "null"]}},
    "additionalProperties": False,
}
TEXT: JsonObject = {"type": "string"}
MOST_SECONDS = 3  # of processor time; it took a minute


def codes(expression: Json, schema: JsonObject) -> list[str]:
    steps: list[Json] = [step("book", action=call("/book", body=expression))]
    definition = parse_unverified_definition(Fault("", ("", ""), steps, input=schema).document)
    return [finding.code for finding in verify(definition)]


def needs(name: str, schema: Json) -> JsonObject:
    return {"required": [name], "properties": {name: schema}}


SOUND: list[tuple[str, JsonObject]] = [
    ("${input}", needs("a", TEXT)),
    ("${input.a}", needs("a", TEXT)),
    ("${input.a || 'none'}", {"properties": {"a": TEXT}}),
    ("${input.anything.at[3].all}", {"type": "object"}),
    ("${input.anything.at[3].all}", {}),
    ("${input.home.street}", needs("home", ADDRESS)),
    ("${input.home.zip || 'none'}", needs("home", ADDRESS)),
    ("${input.home.street}", {**needs("home", {"$ref": "#/$defs/a"}), "$defs": {"a": ADDRESS}}),
    ("${input.home.street}", needs("home", {"allOf": [ADDRESS, {"type": "object"}]})),
    ("${input.home.street}", needs("home", {"anyOf": [ADDRESS, {"type": "null"}]})),
    ("${input.home.street}", needs("home", {"if": {"type": "object"}, "then": ADDRESS})),
    ("${input.homes[1].street}", needs("homes", {"items": ADDRESS, "minItems": 2})),
    ("${input.homes[-1].street}", needs("homes", {"items": ADDRESS, "minItems": 1})),
    ("${input.homes[*].zip}", needs("homes", {"items": ADDRESS})),
    ("${input.homes[0].street}", needs("homes", {"prefixItems": [ADDRESS], "minItems": 1})),
    ("${input.x1}", {"patternProperties": {"^x": TEXT}, "required": ["x1"]}),
    ("${input.x1}", {"additionalProperties": TEXT, "required": ["x1"]}),
    ("${input.x1}", {"additionalProperties": True, "required": ["x1"]}),
    ("x${input.a}", needs("a", {"type": ["string", "null"]})),
    ("x${input.a}", needs("a", {"const": 5})),
    ("x${input.a}", needs("a", {"enum": ["a", 1]})),
    ("${input.a.b}", needs("a", {})),
]
FAULTY: list[tuple[str, JsonObject, str]] = [
    ("${input.home.stret}", needs("home", ADDRESS), "no-such-input"),
    ("${input.home.stret || 'none'}", needs("home", ADDRESS), "no-such-input"),
    ("${input.home.zip}", needs("home", ADDRESS), "input-may-be-missing"),
    ("${input.home.street}", {"properties": {"home": ADDRESS}}, "input-may-be-missing"),
    ("${merge(input.home, {a: input.home.zip})}", needs("home", ADDRESS), "input-may-be-missing"),
    ("${input.b}", needs("a", TEXT), "undeclared-input"),
    ("${input.step_data[0]}", needs("a", TEXT), "undeclared-input"),
    ("${input.homes[2].street}", needs("homes", {"items": ADDRESS, "minItems": 2}),
     "input-may-be-missing"),
    ("${input.homes[1]}", needs("homes", {"prefixItems": [ADDRESS], "items": False}),
     "no-such-input"),
    ("${input.a}", {"properties": {"a": False}}, "no-such-input"),
    ("${input.a}", {"unevaluatedProperties": False, "properties": {"b": True}}, "no-such-input"),
    ("${input.a.b}", needs("a", {"enum": ["x", None]}), "no-such-input"),
    ("x${input.a}", needs("a", {"const": None}), "object-in-text"),
]  # fmt: skip


@pytest.mark.parametrize(("expression", "schema"), SOUND)
def test_read_that_fits_the_schema_has_no_finding(expression: str, schema: JsonObject) -> None:
    assert codes(expression, schema) == []


@pytest.mark.parametrize(("expression", "schema", "code"), FAULTY)
def test_read_that_does_not_fit_the_schema_is_found(
    expression: str, schema: JsonObject, code: str
) -> None:
    assert codes(expression, schema) == [code]


def test_close_name_is_suggested() -> None:
    schema = needs("amount", {"type": "number"})
    steps: list[Json] = [step("book", action=call("/book", body="${input.amont}"))]

    (finding,) = verify(
        parse_unverified_definition(Fault("", ("", ""), steps, input=schema).document)
    )

    assert finding.pointer == "/steps/0/action/body"
    assert finding.detail == (
        "${input.amont}: input: does not declare input.amont; did you mean amount?"
    )


def test_condition_may_read_an_optional_part() -> None:
    schema: JsonObject = {"properties": {"insured": {"type": ["boolean", "null"]}}}
    steps: list[Json] = [step("book", when="${input.insured}")]

    assert (
        verify(parse_unverified_definition(Fault("", ("", ""), steps, input=schema).document)) == []
    )


def test_step_may_read_an_optional_part_of_its_condition() -> None:
    schema: JsonObject = {"properties": {"coupon": {}}}
    steps: list[Json] = [
        step("book", when="${input.coupon}", action=call("/book", body="${input.coupon}"))
    ]

    assert (
        verify(parse_unverified_definition(Fault("", ("", ""), steps, input=schema).document)) == []
    )


def test_example_definition_reads_only_declared_input() -> None:
    findings = [*verify(order_definition()), *check_input_is_declared(order_definition())]

    assert [finding.code for finding in findings] == []


@pytest.mark.parametrize(
    ("schema", "undeclared"),
    [
        (None, "input.a.b, input.c"),
        ({}, "input.a.b, input.c"),
        (needs("a", {"type": "object"}), "input.a.b"),
        (needs("a", needs("b", TEXT)), None),
    ],
)
def test_undeclared_reads_are_one_warning_for_the_author(
    schema: JsonObject | None, undeclared: str | None
) -> None:
    body: Json = {"b": "${input.a.b}", "c": "${input.c}", "again": "${input.c}"}
    steps: list[Json] = [step("book", action=call("/book", body=body))]
    definition = parse_unverified_definition(Fault("", ("", ""), steps, input=schema).document)

    details = [finding.detail for finding in check_input_is_declared(definition)]

    names = [detail.partition(" declare ")[2].partition(", so ")[0] for detail in details]
    assert names == ([] if undeclared is None else [undeclared])


def test_large_schema_with_many_reads_is_checked_fast() -> None:
    schema: JsonObject = {"allOf": [{"properties": {f"a{n}": TEXT}} for n in range(330)]}
    steps: list[Json] = [
        step(
            f"s{number}",
            action=call("/", body={f"m{n}": f"${{input.b{number}_{n}.c}}" for n in range(20)}),
        )
        for number in range(150)
    ]
    definition = parse_unverified_definition(Fault("", ("", ""), steps, input=schema).document)
    began = process_time()

    verify(definition)

    assert process_time() - began < MOST_SECONDS
