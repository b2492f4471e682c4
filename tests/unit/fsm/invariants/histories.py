"""Made-up histories, as the doctor reads them from a log."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from saga_orchestrator.fsm.definitions.definition import Definition
from saga_orchestrator.fsm.events import (
    Cause,
    CompensationCalled,
    CompensationStarted,
    CompensationSucceeded,
    Event,
    SagaParked,
    SagaStarted,
    StepCalled,
    StepRejected,
    StepSucceeded,
)
from saga_orchestrator.fsm.invariants import History, HistoryEntry, fold
from saga_orchestrator.fsm.testing import NOON, SAGA_ID

BACK = CompensationStarted(cause=Cause.STEP_FAILED, error="no")


def history_of_events(
    definition: Definition, *events: Event, deadline: datetime | None = None
) -> History:
    """Return the history of a saga that starts at noon and records one event a second."""
    return fold(definition, SAGA_ID, entries(started(definition, deadline), *events))


def told_at(
    definition: Definition, *events: tuple[Event, datetime], deadline: datetime | None = None
) -> History:
    """Return the history of a saga that starts at noon and records `events` at their times."""
    rows = [(started(definition, deadline), NOON), *events]
    timed = [
        replace(entry(event, version), recorded_at=at)
        for version, (event, at) in enumerate(rows, 1)
    ]
    return fold(definition, SAGA_ID, timed)


def started(definition: Definition, deadline: datetime | None = None) -> SagaStarted:
    return SagaStarted(
        saga_type=definition.name,
        definition_version=1,
        entity_id=1,
        input={},
        deadline=deadline,
    )


def entries(*events: Event) -> list[HistoryEntry]:
    return [entry(event, version) for version, event in enumerate(events, 1)]


def entry(event: Event, version: int, *, epoch: int = 1) -> HistoryEntry:
    at = NOON + timedelta(seconds=version - 1)
    return HistoryEntry(event=event, version=version, seq=10 + version, epoch=epoch, recorded_at=at)


def called(step: str, attempt: int = 1) -> StepCalled:
    return StepCalled(step=step, attempt=attempt)


def done(step: str, attempt: int = 1) -> StepSucceeded:
    return StepSucceeded(step=step, attempt=attempt)


def rejected(step: str, attempt: int = 1) -> StepRejected:
    return StepRejected(step=step, attempt=attempt, error="no")


def parked(*not_done: str) -> SagaParked:
    return SagaParked(reason="no", not_done=not_done)


def undo(step: str, attempt: int = 1) -> CompensationCalled:
    return CompensationCalled(step=step, attempt=attempt)


def undone(step: str) -> CompensationSucceeded:
    return CompensationSucceeded(step=step, attempt=1)
