"""A trip of a few steps with its usual results, shared by the tests of the decider."""

from __future__ import annotations

from datetime import timedelta

from saga_orchestrator.fsm.definitions.definition import Definition
from saga_orchestrator.fsm.definitions.parser import parse_definition
from saga_orchestrator.fsm.inputs import Compensate
from saga_orchestrator.fsm.testing import DONE, Scenario, action_answer, compensation_answer, define

SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)
FIRST_WAIT = timedelta(milliseconds=500)
ASKED = Compensate(actor="anna", reason="a mistake")
TWO = define("book", "pay")
THREE = define("book", "pay", "ship")
PIVOT = define("book", "pay pivot", "ship")


def mapped(definition: dict[str, object], step: int, **members: object) -> Definition:
    """Return the definition with members of one step changed."""
    steps = [dict(step) for step in definition["steps"]]  # type: ignore[attr-defined]
    steps[step] |= members
    return parse_definition({**definition, "steps": steps})  # type: ignore[dict-item]


def all_done(case: Scenario, *steps: str) -> Scenario:
    for step in steps:
        case = case.when(action_answer(step, DONE))
    return case


def all_undone(case: Scenario, *steps: str) -> Scenario:
    for step in steps:
        case = case.when(compensation_answer(step, DONE))
    return case
