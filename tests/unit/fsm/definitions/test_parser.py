from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest
from saga_orchestrator.fsm.definitions.definition import OnFailure
from saga_orchestrator.fsm.definitions.findings import Finding, InvalidDefinition
from saga_orchestrator.fsm.definitions.parser import MAX_DEFINITION_BYTES, parse_definition
from saga_orchestrator.fsm.definitions.retry import RetryPolicy
from saga_orchestrator.fsm.formats.json_path import json_pointer
from saga_orchestrator.fsm.formats.strict_json import Json, JsonObject
from saga_orchestrator.fsm.testing import define
from saga_orchestrator.tests.support.order_definition import order_definition

STEP: dict[str, Json] = {
    "name": "book",
    "participant": "hotel",
    "action": {"path": "/book"},
    "compensation": {"path": "/undo"},
}


def one_step(**members: Json) -> JsonObject:
    return {"saga": "trip", "version": 1, "steps": [{**STEP, **members}]}


def findings(document: Json) -> list[tuple[str, str]]:
    with pytest.raises(InvalidDefinition) as refusal:
        parse_definition(document)
    return [(finding.pointer, finding.code) for finding in refusal.value.findings]


def action(**members: Json) -> JsonObject:
    return one_step(action={"path": "/book", **members})


def test_example_definition_is_parsed() -> None:
    order = order_definition()

    assert (order.name, order.version, order.deadline) == (
        "order_processing",
        2,
        timedelta(minutes=15),
    )
    assert [step.name for step in order.steps] == [
        "create_order",
        "process_payment",
        "confirm_order",
    ]
    assert [step.after for step in order.steps] == [(), ("create_order",), ("process_payment",)]
    assert order["confirm_order"].undone_by == "create_order"


def test_omitted_members_have_their_defaults() -> None:
    book = define("book")["book"]

    assert book.action
    assert book.retry == RetryPolicy(
        attempts=5, first=timedelta(seconds=0.5), factor=2, cap=timedelta(seconds=60)
    )
    assert (book.action.method, book.action.timeout) == ("POST", timedelta(seconds=10))
    assert book.compensation
    assert book.compensation.retry == RetryPolicy(attempts=12)
    assert book.compensation.on_failure is OnFailure.PARK
    assert (book.has_effect, book.pivot, book.compensate_on_reject) == (True, False, False)


def test_attempts_after_the_pivot_are_unlimited_by_default() -> None:
    definition = define("book", "pay pivot", "ship", "mail attempts=3")

    limits = [step.retry.attempts for step in definition.steps]

    assert limits == [5, 5, None, 3]


def test_partial_retry_keeps_the_other_defaults() -> None:
    definition = parse_definition(
        one_step(compensation={"path": "/undo", "retry": {"first": "1s"}})
    )

    compensation = definition["book"].compensation
    assert compensation
    assert compensation.retry == RetryPolicy(attempts=12, first=timedelta(seconds=1))


def test_headers_are_lower_case_and_may_have_expressions() -> None:
    call = parse_definition(action(headers={"X-Key": "${input.key}"}))["book"].action

    assert call
    assert [name for name, _ in call.headers] == ["x-key"]


@pytest.mark.parametrize(
    ("document", "place"),
    [
        ({}, "/saga"),
        (None, ""),
        ([], ""),
        ({"saga": "trip", "version": 1, "steps": []}, "/steps"),
        ({"saga": "trip", "version": 0, "steps": [STEP]}, "/version"),
        ({"saga": "trip", "version": "1", "steps": [STEP]}, "/version"),
        ({"saga": "trip", "version": True, "steps": [STEP]}, "/version"),
        ({"saga": "trip", "version": 2**31, "steps": [STEP]}, "/version"),
        ({"saga": "1trip", "version": 1, "steps": [STEP]}, "/saga"),
        ({"saga": "trip\n", "version": 1, "steps": [STEP]}, "/saga"),
        ({"saga": "trip", "version": 1, "steps": [STEP], "colour": 1}, "/colour"),
        ({"saga": "trip", "version": 1, "deadline": "0s", "steps": [STEP]}, "/deadline"),
        ({"saga": "trip", "version": 1, "deadline": 5, "steps": [STEP]}, "/deadline"),
        ({"saga": "trip", "version": 1, "deadline": "5", "steps": [STEP]}, "/deadline"),
        (one_step(name="a/b"), "/steps/0/name"),
        (one_step(name="x" * 64), "/steps/0/name"),
        (one_step(participant="http://evil"), "/steps/0/participant"),
        (one_step(effect="some"), "/steps/0/effect"),
        (one_step(pivot="yes"), "/steps/0/pivot"),
        (one_step(colour=1), "/steps/0/colour"),
        (one_step(output={"a b": "x"}), "/steps/0/output/a b"),
        (action(method="BREW"), "/steps/0/action/method"),
        (action(path="book"), "/steps/0/action/path"),
        (action(path="/" + "x" * 2000), "/steps/0/action/path"),
        (action(timeout="0s"), "/steps/0/action/timeout"),
        (action(timeout=10), "/steps/0/action/timeout"),
        (action(retry={"attempts": 0}), "/steps/0/action/retry/attempts"),
        (action(retry={"attempts": "3"}), "/steps/0/action/retry/attempts"),
        (action(retry={"factor": Decimal("0.5")}), "/steps/0/action/retry/factor"),
        (action(retry={"factor": 101}), "/steps/0/action/retry/factor"),
        (action(retry={"cap": "20y"}), "/steps/0/action/retry/cap"),
        (action(headers={f"x-{n}": "" for n in range(51)}), "/steps/0/action/headers"),
        (
            one_step(compensation={"path": "/", "done_on": [500]}),
            "/steps/0/compensation/done_on/0",
        ),
        (
            one_step(compensation={"path": "/", "on_failure": "explode"}),
            "/steps/0/compensation/on_failure",
        ),
        ({"saga": "trip", "version": 1, "steps": [STEP] * 201}, "/steps"),
    ],
)
def test_invalid_member_is_refused_with_its_place(document: Json, place: str) -> None:
    assert place in [pointer for pointer, _ in findings(document)]


@pytest.mark.parametrize(
    ("document", "finding"),
    [
        (action(path="/${input.}"), ("/steps/0/action/path", "bad-expression")),
        (action(body={"a": "${"}), ("/steps/0/action/body", "bad-expression")),
        (action(headers={"x-a": "${]}"}), ("/steps/0/action/headers/x-a", "bad-expression")),
        (one_step(output={"a": "${["}), ("/steps/0/output", "bad-expression")),
        (
            one_step(compensation={"path": "/${'}"}),
            ("/steps/0/compensation/path", "bad-expression"),
        ),
        (one_step(when="${input.}"), ("/steps/0/when", "bad-expression")),
        (one_step(when="yes"), ("/steps/0/when", "bad-condition")),
        (one_step(when="x${input.a}"), ("/steps/0/when", "bad-condition")),
        (one_step(status={"path": "/${"}), ("/steps/0/status/path", "bad-expression")),
        (
            one_step(status={"path": "/", "headers": {"host": ""}}),
            ("/steps/0/status/headers/host", "bad-header"),
        ),
        (
            action(headers={"a/~": "${"}),
            ("/steps/0/action/headers/a~1~0", "bad-header"),
        ),
    ],
)
def test_impossible_call_is_refused_with_its_place(
    document: Json, finding: tuple[str, str]
) -> None:
    assert finding in findings(document)


def test_all_faults_are_reported_at_once() -> None:
    document: Json = {
        "saga": "trip",
        "version": 1,
        "steps": [
            {**STEP, "action": {"path": "/${input.}", "headers": {"host": "x"}}},
            {**STEP, "compensation": {"path": "/", "body": "${"}},
        ],
    }

    assert findings(document) == [
        ("/steps/1/name", "step-named-twice"),
        ("/steps/0/action/path", "bad-expression"),
        ("/steps/0/action/headers/host", "bad-header"),
        ("/steps/1/compensation/body", "bad-expression"),
    ]


def test_too_large_definition_is_refused() -> None:
    assert findings(action(body="x" * MAX_DEFINITION_BYTES)) == [("", "too-large")]


def test_document_that_is_not_json_is_refused() -> None:
    assert findings(action(body=Decimal("NaN"))) == [("", "not-json")]


def test_findings_name_the_cure_and_never_quote_the_document() -> None:
    with pytest.raises(InvalidDefinition) as refusal:
        parse_definition(action(timeout="secret"))

    assert refusal.value.findings == (
        Finding(
            code="does-not-fit",
            pointer="/steps/0/action/timeout",
            detail="'secret' is not a duration; write a number and a unit, like 500ms, 10s, 5m",
        ),
    )
    assert str(refusal.value).startswith("/steps/0/action/timeout: ")


@pytest.mark.parametrize(
    ("place", "text"),
    [((), ""), (("a", 0), "/a/0"), (("a/b", "c~d"), "/a~1b/c~0d"), (("",), "/")],
)
def test_pointer_follows_rfc_6901(place: tuple[str | int, ...], text: str) -> None:
    assert json_pointer(place) == text


def test_source_is_the_canonical_document() -> None:
    definition = parse_definition(one_step())

    assert parse_definition(one_step()).source == definition.source
    assert definition.source.startswith(b'{"saga":"trip","version":1,"steps":[{"name":"book"')


def test_numbers_of_a_schema_are_exact() -> None:
    schema: Json = {"properties": {"amount": {"maximum": 12345678901234567890}}}

    definition = parse_definition({**one_step(), "input": schema})

    assert definition.input is not None
    assert definition.input.document == schema
    assert definition.input.violations({"amount": 12345678901234567890}) == ()
    assert definition.input.violations({"amount": 12345678901234567891})


def test_definition_without_a_schema_accepts_any_input() -> None:
    assert parse_definition(one_step()).input is None
    assert parse_definition({**one_step(), "input": None}).input is None
