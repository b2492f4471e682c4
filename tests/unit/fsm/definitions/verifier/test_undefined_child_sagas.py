"""A service that looks at a definition knows which child sagas are defined."""

from __future__ import annotations

import pytest
from saga_orchestrator.fsm.definitions.parser import parse_unverified_definition
from saga_orchestrator.fsm.definitions.verifier import verify
from saga_orchestrator.fsm.formats.strict_json import Json, JsonObject


def parent(child: JsonObject) -> JsonObject:
    steps: list[Json] = [{"name": "child", "saga": child}]
    return {"saga": "trip", "version": 2, "steps": steps}


STAY = parse_unverified_definition({**parent({"type": "trip"}), "saga": "stay"})


@pytest.mark.parametrize(
    ("child", "finding"),
    [
        ({"type": "stya"}, ("/steps/0/saga/type", "did you mean stay?")),
        ({"type": "flight"}, ("/steps/0/saga/type", "register it first, or correct the name")),
        (
            {"type": "stay", "version": 3},
            ("/steps/0/saga/version", "register it first, or correct the number"),
        ),
    ],
)
def test_undefined_child_is_a_warning(child: JsonObject, finding: tuple[str, str]) -> None:
    (reported,) = verify(parse_unverified_definition(parent(child)), (), [STAY])

    assert reported.code == "unknown-saga"
    assert (reported.pointer, reported.detail[-len(finding[1]) :]) == finding


@pytest.mark.parametrize("child", [{"type": "stay"}, {"type": "stay", "version": 2}])
def test_defined_child_is_no_warning(child: JsonObject) -> None:
    assert "unknown-saga" not in codes(child, ())


def test_child_is_not_checked_without_a_service() -> None:
    assert "unknown-saga" not in codes({"type": "flight"}, None)


def codes(child: JsonObject, participants: tuple[str, ...] | None) -> list[str]:
    return [
        finding.code
        for finding in verify(parse_unverified_definition(parent(child)), participants, [STAY])
    ]
