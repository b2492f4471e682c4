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
def test_likely_name_is_suggested(steps: list[Json], pointer: str, meant: str) -> None:
    with pytest.raises(InvalidDefinition) as refusal:
        parse_definition({"saga": "trip", "version": 1, "steps": steps})

    details = {finding.pointer: finding.detail for finding in refusal.value.findings}
    assert details[pointer].endswith(f"; did you mean {meant}?")


def test_likely_participant_is_suggested() -> None:
    definition = parse_definition({"saga": "trip", "version": 1, "steps": [BOOK]})

    (finding,) = verify(definition, ["hotels", "bank"])
    assert finding.detail.endswith("; did you mean hotels?")


def test_no_name_is_suggested_if_none_is_close() -> None:
    unlike = step("pay", action=call("/", body="${steps.zzz.output}"))
    with pytest.raises(InvalidDefinition) as refusal:
        parse_definition({"saga": "trip", "version": 1, "steps": [BOOK, unlike]})

    assert not any("did you mean" in finding.detail for finding in refusal.value.findings)
