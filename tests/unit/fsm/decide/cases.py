"""What the tests of `decide` have in common: a trip of a few steps, and its usual answers."""

from __future__ import annotations

from datetime import timedelta

from saga_orchestrator.fsm.definition import Definition
from saga_orchestrator.fsm.happening import CompensationAsked
from saga_orchestrator.fsm.reader import read_definition
from saga_orchestrator.fsm.testing import (
    DONE,
    Case,
    answered,
    define,
    undo_answered,
)

SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)
FIRST_WAIT = timedelta(milliseconds=500)
ASKED = CompensationAsked(actor="anna", reason="a mistake")
TWO = define("book", "pay")
THREE = define("book", "pay", "ship")
PIVOT = define("book", "pay pivot", "ship")


def mapped(definition: dict[str, object], step: int, **members: object) -> Definition:
    """The definition with members of one step changed."""
    steps = [dict(one) for one in definition["steps"]]  # type: ignore[attr-defined]
    steps[step] |= members
    return read_definition({**definition, "steps": steps})  # type: ignore[dict-item]


def all_done(case: Case, *steps: str) -> Case:
    for step in steps:
        case = case.when(answered(step, DONE))
    return case


def all_undone(case: Case, *steps: str) -> Case:
    for step in steps:
        case = case.when(undo_answered(step, DONE))
    return case
