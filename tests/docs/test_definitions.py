"""docs/definitions.md explains every key of the language, and its examples are definitions."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import BaseModel
from saga_orchestrator.fsm.definitions.parser import parse_definition
from saga_orchestrator.fsm.definitions.retry import RetryPolicy
from saga_orchestrator.fsm.definitions.schema import (
    CallModel,
    ChildModel,
    CompensationModel,
    DefinitionModel,
    RetryModel,
    StatusModel,
    StepModel,
    WaitForModel,
)
from saga_orchestrator.fsm.definitions.verifier import verify
from saga_orchestrator.fsm.definitions.verifier.inputs import check_input_is_declared
from saga_orchestrator.fsm.formats.strict_yaml import parse_yaml
from saga_orchestrator.tests.docs.markdown import document, quoted_in

PAGE = document("docs/definitions.md")
FIRST, *PIECES = PAGE.blocks("yaml")
MODELS = (
    DefinitionModel, StepModel, CallModel, CompensationModel, StatusModel, RetryModel,
    WaitForModel, ChildModel,
)  # fmt: skip


def test_the_first_example_is_registered_without_a_finding() -> None:
    definition = parse_definition(parse_yaml(FIRST))

    assert [*verify(definition), *check_input_is_declared(definition)] == []


@pytest.mark.parametrize("piece", PIECES)
def test_a_piece_of_a_definition_is_one(piece: str) -> None:
    given: Any = parse_yaml(piece)
    steps: Any = given
    if isinstance(given, dict):
        action = {"path": "/payments", **given}
        steps = [{"name": "pay", "participant": "bank", "action": action, "effect": "none"}]

    parse_definition({"saga": "piece", "version": 1, "steps": steps})


@pytest.mark.parametrize("model", MODELS)
def test_each_key_is_explained(model: type[BaseModel]) -> None:
    explained = set(PAGE.quoted()) | {
        key for block in PAGE.blocks("yaml") for key in keys_of(block)
    }

    assert set(model.model_fields) <= explained


def test_the_tables_name_no_key_that_does_not_exist() -> None:
    rows = [row[0] for row in map(cells, PAGE.text.splitlines()) if len(row) > 1]
    named = {name for each_row in rows for name in quoted_in(each_row)}

    assert named <= {name for model in MODELS for name in model.model_fields}


def test_the_defaults_of_a_retry_are_those_of_the_policy() -> None:
    policy = RetryPolicy()
    defaults = {
        row[0].strip("`"): row[2] for row in map(cells, PAGE.text.splitlines()) if len(row) == 3
    }

    assert defaults["attempts"].startswith(f"{policy.attempts} for an action, 12")
    assert defaults["first"] == f"{policy.first.total_seconds() * 1000:.0f}ms"
    assert (defaults["factor"], defaults["cap"]) == (
        f"{policy.factor:.0f}",
        f"{policy.cap.total_seconds():.0f}s",
    )


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip("|").split("|")] if line.startswith("|") else []


def keys_of(block: str) -> set[str]:
    pending, keys = [parse_yaml(block)], set[str]()
    while pending:
        match pending.pop():
            case dict() as members:
                keys |= set(members)
                pending += members.values()
            case list() as elements:
                pending += elements
    return keys
