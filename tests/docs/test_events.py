"""docs/events.md lists every type of event: its members, and the transition that it fires."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, get_args

import pytest
from msgspec.structs import FieldInfo, fields
from saga_orchestrator.fsm.events import (
    SagaEvent,
    SagaFact,
    SagaStarted,
    SagaUnparked,
    StepEvent,
    StepFact,
    StepRejected,
    StepResolved,
)
from saga_orchestrator.fsm.machines import SAGA_TRANSITIONS, STEP_TRANSITIONS
from saga_orchestrator.tests.docs.markdown import document

FACTS: Sequence[type[SagaEvent | StepEvent]] = (*get_args(SagaFact), *get_args(StepFact))
# Which of the two it is depends on what stands in the event, and in its stream.
EITHER = {
    SagaStarted: ("schedule", "begin"),
    SagaUnparked: ("unpark_running", "unpark_compensating"),
    StepRejected: ("reject", "reject_uncertain", "revoke"),
    StepResolved: ("resolve_done", "resolve_not_done", "resolve_undone"),
}
PLACES = {"*": "any", "=": "the same"}


def rows() -> dict[str, list[str]]:
    """By the name of the event: what it says, its members, what it fires."""
    return {row[0].strip("`"): row[1:] for row in document("docs/events.md").table("event")}


def test_all_events_are_listed_and_no_others() -> None:
    assert set(rows()) == {fact.type_name for fact in FACTS} | {"ShardOwned"}


@pytest.mark.parametrize("fact", FACTS, ids=lambda fact: str(fact.type_name))
def test_row_of_an_event_lists_its_members_and_transitions(
    fact: type[SagaEvent | StepEvent],
) -> None:
    says, members, fires = rows()[fact.type_name]

    assert says.endswith(".")
    assert members == members_of(fact)
    assert fires == fired_by(fact)


def members_of(fact: type[SagaEvent | StepEvent]) -> str:
    return ", ".join(member(each_member) for each_member in fields(fact)) or "none"


def member(field: FieldInfo) -> str:
    return f"`{field.name}`" if field.required else f"`{field.name}`?"


def fired_by(fact: type[SagaEvent | StepEvent]) -> str:
    triggers = EITHER.get(fact) or (str(fact.trigger),)
    table: Sequence[Any] = SAGA_TRANSITIONS if issubclass(fact, SagaEvent) else STEP_TRANSITIONS
    return "; ".join(
        f"`{trigger}`: {sources(source)} → {PLACES.get(target, target)}"
        for name in triggers
        for trigger, source, target in table
        if trigger == name
    )


def sources(source: str | list[str]) -> str:
    return PLACES.get(source, source) if isinstance(source, str) else ", ".join(source)
