"""Sagas that are overdue, and parents whose children are missing or not recorded."""

from __future__ import annotations

from datetime import timedelta

import pytest
from saga_orchestrator.fsm.events import Event, SagaCompleted, SagaParked, SagaPaused, WaitStarted
from saga_orchestrator.fsm.invariants import (
    Breach,
    History,
    child_results_arrive,
    sagas_make_progress,
)
from saga_orchestrator.fsm.testing import NOON, define
from saga_orchestrator.tests.unit.fsm.invariants.histories import called, done, history_of_events

TWO = define("book", "pay")
BOTH: list[Event] = [called("book"), done("book"), called("pay"), done("pay")]


def test_saga_whose_call_has_timed_out_is_overdue() -> None:
    called_at = NOON + timedelta(seconds=1)
    due = called_at + timedelta(seconds=10)
    second = timedelta(seconds=1)
    waits = history_of_events(TWO, called("book"))

    assert list(sagas_make_progress(waits, served_since=NOON, overdue=due)) == []
    assert len(list(sagas_make_progress(waits, served_since=NOON, overdue=due + second))) == 1
    assert list(sagas_make_progress(waits, served_since=due + second, overdue=due + second)) == []


@pytest.mark.parametrize(
    "events",
    [
        [*BOTH, SagaCompleted()],
        [called("book"), done("book"), SagaPaused()],
        [WaitStarted(step="book", signal="approval")],
    ],
)
def test_saga_that_waits_for_no_time_is_never_overdue(events: list[Event]) -> None:
    waits = history_of_events(define("book", "pay"), *events)

    assert (
        list(sagas_make_progress(waits, served_since=NOON, overdue=NOON + timedelta(days=999)))
        == []
    )


def test_wakeup_that_has_not_come_is_overdue() -> None:
    sleeps = history_of_events(define("rest sleep=1h"), WaitStarted(step="rest", until=NOON))

    found = list(
        sagas_make_progress(sleeps, served_since=NOON, overdue=NOON + timedelta(seconds=1))
    )

    assert found == [Breach(2, "running, and should have gone on at 2026-03-01T12:00:00+00:00")]


PARENT = history_of_events(define("trip child=room"), WaitStarted(step="trip", child_id="child"))


UNDER_WAY = history_of_events(TWO, called("book"))


COMPLETED = history_of_events(TWO, *BOTH, SagaCompleted())


@pytest.mark.parametrize(
    ("children", "found"),
    [
        ({}, ["trip waits for a child that is unknown"]),
        ({"child": COMPLETED}, ["trip waits for a child that is completed"]),
        ({"child": UNDER_WAY}, []),
        ({"child": history_of_events(TWO, called("book"), SagaParked(reason="no"))}, []),
    ],
)
def test_awaited_child_exists_and_its_end_arrives(
    children: dict[str, History], found: list[str]
) -> None:
    hour = timedelta(hours=1)

    now = child_results_arrive(PARENT, children, served_since=NOON, overdue=NOON + hour)

    assert [breach.detail for breach in now] == found
    assert list(child_results_arrive(PARENT, children, served_since=NOON, overdue=NOON)) == []


def test_paused_or_resting_parent_awaits_no_child() -> None:
    paused = history_of_events(
        define("trip child=room"), WaitStarted(step="trip", child_id="child"), SagaPaused()
    )
    later = NOON + timedelta(hours=1)

    assert list(child_results_arrive(paused, {}, served_since=NOON, overdue=later)) == []
    assert list(child_results_arrive(COMPLETED, {}, served_since=NOON, overdue=later)) == []
