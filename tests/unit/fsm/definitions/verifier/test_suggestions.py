"""A name that is close to one that is known is probably misspelt."""

from __future__ import annotations

import pytest
from saga_orchestrator.fsm.definitions.findings import InvalidDefinition
from saga_orchestrator.fsm.definitions.parser import parse_definition
from saga_orchestrator.fsm.definitions.verifier import verify
from saga_orchestrator.fsm.formats.strict_json import Json
from saga_orchestrator.tests.unit.fsm.definitions.verifier.fault import BOOK, HELD, call, step

PAY = "/steps/1/action/body"


@pytest.mark.parametrize(
    ("steps", "pointer", "meant"),
    [
        ([step("book", action=call("/", body="${imput.a}"))], "/steps/0/action/body", "input"),
        ([BOOK, step("pay", action=call("/", body="${steps.bok.output}"))], PAY, "book"),
        ([BOOK, step("pay", action=call("/", body="${saga.entity}"))], PAY, "entity_id"),
        ([HELD, step("pay", action=call("/", body="${steps.book.output.idd}"))], PAY, "id"),
        ([BOOK, step("pay", action=call("/", body="${lenght(input.a)}"))], PAY, "length"),
        ([BOOK, step("pay", after=["bok"])], "/steps/1/after", "book"),
        ([step("book", acton=call("/"))], "/steps/0/acton", "action"),
        ([step("book", action=call("/", pth="/"))], "/steps/0/action/pth", "path"),
    ],
)
def test_what_is_probably_meant_is_said(steps: list[Json], pointer: str, meant: str) -> None:
    with pytest.raises(InvalidDefinition) as refusal:
        parse_definition({"saga": "trip", "version": 1, "steps": steps})

    found = {one.pointer: one.detail for one in refusal.value.findings}
    assert found[pointer].endswith(f"; did you mean {meant}?")


def test_a_participant_that_is_probably_meant_is_said() -> None:
    definition = parse_definition({"saga": "trip", "version": 1, "steps": [BOOK]})

    (finding,) = verify(definition, ["hotels", "bank"])
    assert finding.detail.endswith("; did you mean hotels?")


def test_nothing_is_said_to_be_meant_where_nothing_is_close() -> None:
    unlike = step("pay", action=call("/", body="${steps.zzz.output}"))
    with pytest.raises(InvalidDefinition) as refusal:
        parse_definition({"saga": "trip", "version": 1, "steps": [BOOK, unlike]})

    assert not any("did you mean" in one.detail for one in refusal.value.findings)
