"""Histories that are made up, as whoever checks an installation reads them."""

from __future__ import annotations

from datetime import timedelta

from saga_orchestrator.fsm.definitions.definition import Definition
from saga_orchestrator.fsm.events import (
    Cause,
    CompensationCalled,
    CompensationStarted,
    CompensationSucceeded,
    Event,
    SagaStarted,
    StepCalled,
    StepRejected,
    StepSucceeded,
)
from saga_orchestrator.fsm.invariants import History, HistoryEntry, fold
from saga_orchestrator.fsm.testing import NOON, SAGA_ID, SimulatedProcess
from saga_orchestrator.fsm.testing.simulated_process import LogRow

BACK = CompensationStarted(cause=Cause.STEP_FAILED, error="no")


def history_of_events(
    definition: Definition, *events: Event, input_: dict[str, bool] | None = None
) -> History:
    """The start, and then `events`, one a second."""
    start = SagaStarted(
        saga_type=definition.name, definition_version=1, entity_id=1, input=input_ or {}
    )
    return fold(definition, SAGA_ID, entries(start, *events))


def entries(*events: Event) -> list[HistoryEntry]:
    return [entry(event, version) for version, event in enumerate(events, 1)]


def entry(event: Event, version: int, *, epoch: int = 1) -> HistoryEntry:
    at = NOON + timedelta(seconds=version - 1)
    return HistoryEntry(event=event, version=version, seq=10 + version, epoch=epoch, recorded_at=at)


def history_of(process: SimulatedProcess) -> History:
    """What the log of `process` tells."""
    rows = [_entry(one, version) for version, one in enumerate(process.log, 1)]
    return fold(process.definition, process.saga_id, rows)


def _entry(row: LogRow, version: int) -> HistoryEntry:
    return HistoryEntry(event=row.event, version=version, seq=version, epoch=1, recorded_at=row.at)


def called(step: str, attempt: int = 1) -> StepCalled:
    return StepCalled(step=step, attempt=attempt)


def done(step: str, attempt: int = 1) -> StepSucceeded:
    return StepSucceeded(step=step, attempt=attempt)


def rejected(step: str, attempt: int = 1) -> StepRejected:
    return StepRejected(step=step, attempt=attempt, error="no")


def undo(step: str, attempt: int = 1) -> CompensationCalled:
    return CompensationCalled(step=step, attempt=attempt)


def undone(step: str) -> CompensationSucceeded:
    return CompensationSucceeded(step=step, attempt=1)
