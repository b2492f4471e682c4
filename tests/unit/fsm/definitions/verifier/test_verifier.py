from __future__ import annotations

import pytest
from saga_orchestrator.fsm.definitions.findings import InvalidDefinition, Severity
from saga_orchestrator.fsm.definitions.parser import parse_definition
from saga_orchestrator.fsm.definitions.verifier import verify
from saga_orchestrator.fsm.formats.strict_json import Json
from saga_orchestrator.fsm.testing import define, document

BARE: dict[str, Json] = {"name": "pay", "participant": "bank", "action": {"path": "/pay"}}
BOOK: dict[str, Json] = {
    "name": "book",
    "participant": "hotel",
    "action": {"path": "/book"},
    "compensation": {"path": "/undo"},
}


def refusals(*steps: dict[str, Json]) -> list[tuple[str, str]]:
    try:
        parse_definition({"saga": "trip", "version": 1, "steps": list(steps)})
    except InvalidDefinition as refusal:
        return [(finding.pointer, finding.code) for finding in refusal.findings]
    return []


def refused_action(expression: str) -> list[tuple[str, str]]:
    return refusals(BOOK, {**BARE, "effect": "none", "action": {"path": "/", "body": expression}})


class TestEveryEffectCanBeUndone:
    """R9."""

    def test_step_with_an_effect_and_no_compensation_is_refused(self) -> None:
        assert refusals(BARE) == [("/steps/0", "cannot-be-undone")]
        assert refusals(BOOK, BARE) == [("/steps/1", "cannot-be-undone")]

    def test_the_last_step_is_no_exception(self) -> None:
        """A completed saga can be undone by hand."""
        assert refusals(BOOK, BARE) == [("/steps/1", "cannot-be-undone")]

    @pytest.mark.parametrize(
        "members", [{"pivot": True}, {"effect": "none"}, {"undone_by": "book"}]
    )
    def test_step_that_needs_no_compensation_is_accepted(self, members: dict[str, Json]) -> None:
        assert refusals(BOOK, {**BARE, **members}) == []

    def test_step_after_the_pivot_needs_no_compensation(self) -> None:
        assert refusals({**BARE, "pivot": True}, {**BARE, "name": "ship"}) == []
        assert refusals(BARE, {**BARE, "name": "ship", "pivot": True}) == [
            ("/steps/0", "cannot-be-undone")
        ]

    @pytest.mark.parametrize("members", [{"pivot": True}, {"effect": "none"}])
    def test_compensate_on_reject_requires_a_compensation(self, members: dict[str, Json]) -> None:
        assert refusals({**BARE, **members, "compensate_on_reject": True}) == [
            ("/steps/0/compensate_on_reject", "cannot-be-undone")
        ]

    def test_compensation_of_a_step_without_effect_is_refused(self) -> None:
        assert refusals({**BOOK, "effect": "none"}) == [
            ("/steps/0/compensation", "undo-of-nothing")
        ]

    @pytest.mark.parametrize("other", ["nobody", "pay", "ship"])
    def test_undone_by_must_name_an_earlier_step(self, other: str) -> None:
        ship = {**BOOK, "name": "ship"}

        assert refusals(BOOK, {**BARE, "undone_by": other}, ship) == [
            ("/steps/1/undone_by", "undone-by-nobody")
        ]

    def test_undone_by_must_name_a_step_with_a_compensation(self) -> None:
        look = {**BARE, "name": "look", "effect": "none"}

        assert refusals(look, {**BARE, "undone_by": "look"}) == [
            ("/steps/1/undone_by", "undone-by-nobody")
        ]

    def test_undone_by_must_not_name_a_step_that_may_be_skipped(self) -> None:
        book = {**BOOK, "when": "${input.book}"}

        assert refusals(book, {**BARE, "undone_by": "book"}) == [
            ("/steps/1/undone_by", "undone-by-nobody")
        ]

    def test_step_after_a_skippable_pivot_needs_a_compensation(self) -> None:
        pivot = {**BARE, "pivot": True, "when": "${input.pay}"}

        assert refusals(BOOK, pivot, {**BARE, "name": "ship"}) == [("/steps/2", "cannot-be-undone")]

    def test_undone_by_and_a_compensation_exclude_each_other(self) -> None:
        assert refusals(BOOK, {**BOOK, "name": "pay", "undone_by": "book"}) == [
            ("/steps/1/undone_by", "undone-twice")
        ]


@pytest.mark.parametrize(
    "expression",
    [
        "${input}",
        "${input.anything[3].at.all}",
        "${saga.id}${saga.type}${saga.entity_id}",
        "${saga.error}",
        "${steps.book.output.id}",
        "${steps.book.output.rooms[*].id}",
        "${steps.book.output.{id: id}}",
        "${sort_by(steps.book.output.rooms, &price)[0].id}",
        "${steps.book.output.rooms[?price > `3`].id | [0]}",
        "${merge(input.a, {id: steps.book.output.id})}",
        "${steps.book.key}",
        "${steps.pay.key}",
        "${'text'}",
    ],
)
def test_value_that_is_always_there_may_be_read(expression: str) -> None:
    assert refused_action(expression) == []


@pytest.mark.parametrize(
    "expression",
    [
        "${imput.a}",
        "${a || input.b}",
        "${saga.secret}",
        "${saga}",
        "${steps}",
        "${steps.book}",
        "${steps.book.status}",
        "${steps.nobody.output}",
        "${steps.nobody.key}",
        "${steps.pay.output.id}",
        "${steps.pay.output.items[*].id}",
        "${response.body.id}",
        "${input.a[*].b || steps.nobody.output.items[0]}",
    ],
)
def test_value_that_is_never_there_is_refused(expression: str) -> None:
    assert refused_action(expression) == [("/steps/1/action/body", "unknown-reference")]


def test_output_of_a_later_step_is_refused() -> None:
    book = {**BOOK, "action": {"path": "/${steps.pay.output.id}"}}

    assert refusals(book, {**BARE, "effect": "none"}) == [
        ("/steps/0/action/path", "unknown-reference")
    ]


def test_expression_in_a_header_is_checked() -> None:
    call: Json = {"path": "/", "headers": {"x-a": "${nothing}"}}

    assert refusals({**BOOK, "action": call}) == [
        ("/steps/0/action/headers/x-a", "unknown-reference")
    ]


def test_compensation_may_read_the_output_of_its_own_step() -> None:
    book = {**BOOK, "compensation": {"path": "/${steps.book.output.id}"}}
    pay = {**BARE, "compensation": {"path": "/${steps.ship.output.id}"}}

    assert refusals(book) == []
    assert refusals(book, pay, {**BOOK, "name": "ship"}) == [
        ("/steps/1/compensation/path", "unknown-reference")
    ]


@pytest.mark.parametrize("expression", ["${input.a}", "${steps.book.output}", "${response.status}"])
def test_output_reads_only_the_reply(expression: str) -> None:
    assert refusals({**BOOK, "output": {"id": expression}}) == [
        ("/steps/0/output", "unknown-reference")
    ]


def test_output_of_the_body_is_accepted() -> None:
    output: Json = {"id": "${response.body.id}", "all": "${response.body}", "one": "1"}

    assert refusals({**BOOK, "output": output}) == []


def test_compensation_that_needs_its_own_output_is_a_warning() -> None:
    step = {**BOOK, "compensation": {"path": "/${steps.book.output.id}"}}
    definition = parse_definition({"saga": "trip", "version": 1, "steps": [step]})

    assert [
        (finding.pointer, finding.code, finding.severity) for finding in verify(definition)
    ] == [("/steps/0/compensation/path", "undo-needs-own-output", Severity.WARNING)]


@pytest.mark.parametrize(
    "path", ["/${steps.book.output.id || steps.book.key}", "/${steps.book.key}"]
)
def test_fallback_prevents_the_warning(path: str) -> None:
    step = {**BOOK, "compensation": {"path": path}}
    definition = parse_definition({"saga": "trip", "version": 1, "steps": [step]})

    assert verify(definition) == []


def test_sound_definition_has_no_findings() -> None:
    assert verify(define("look no_effect", "book", "pay pivot", "ship")) == []
    assert document("book")["saga"] == "trip"
