"""Deadlines that turn a saga back too early, or that are forgotten; pivots that are passed."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TypeAlias

import pytest
from saga_orchestrator.fsm.call_outcome import Outcome
from saga_orchestrator.fsm.events import (
    Cause,
    CompensationFailed,
    CompensationStarted,
    Event,
    Resolution,
    SagaParked,
    SagaPaused,
    SagaResumed,
    SagaUnparked,
    StepBackedOff,
    StepResolved,
    WaitStarted,
)
from saga_orchestrator.fsm.invariants.compensation_start import deadlines_hold, pivots_hold
from saga_orchestrator.fsm.step_state import DOES_NOT_CONSUME_ATTEMPT
from saga_orchestrator.fsm.testing import NOON, define
from saga_orchestrator.tests.unit.fsm.invariants.histories import (
    called,
    done,
    history_of_events,
    parked,
    rejected,
    told_at,
    undo,
)

DEFINITION = define("book", "pay pivot", "ship")
Timed: TypeAlias = tuple[Event, datetime]
SECOND = timedelta(seconds=1)
DEADLINE = NOON + timedelta(minutes=1)
BACK = CompensationStarted(cause=Cause.DEADLINE, error="too late")


def breaches(*events: Timed) -> list[int | None]:
    history = told_at(DEFINITION, *events, deadline=DEADLINE)
    return [breach.version for breach in deadlines_hold(history)]


@pytest.mark.parametrize("begins", [called("book"), WaitStarted(step="book", until=DEADLINE)])
def test_step_that_begins_after_the_deadline_is_a_breach(begins: Event) -> None:
    assert breaches((begins, DEADLINE - SECOND)) == []
    assert breaches((begins, DEADLINE)) == [2]


def backed_off(outcome: Outcome) -> StepBackedOff:
    return StepBackedOff(step="book", attempt=1, outcome=outcome, error="", until=NOON)


@pytest.mark.parametrize("outcome", DOES_NOT_CONSUME_ATTEMPT)
def test_repetition_that_is_recorded_with_a_later_event_may_have_left_before_the_deadline(
    outcome: Outcome,
) -> None:
    """It gets the time of that event, and so does its back-off."""
    late: list[Timed] = [(backed_off(outcome), DEADLINE), (called("book"), DEADLINE)]
    assert breaches((called("book"), NOON), *late) == []

    on_time: list[Timed] = [(backed_off(outcome), DEADLINE - SECOND), (called("book"), DEADLINE)]
    assert breaches((called("book"), NOON), *on_time) == [4]


@pytest.mark.parametrize(
    ("outcome", "begins"),
    [(Outcome.BUSY, called("ship")), (Outcome.BUSY, called("book", 2)),
     (Outcome.UNKNOWN, called("book", 2)), (Outcome.NOT_SENT, called("book"))],
)  # fmt: skip
def test_call_that_is_no_repetition_leaves_when_it_is_recorded(
    outcome: Outcome, begins: Event
) -> None:
    assert breaches(
        (called("book"), NOON), (backed_off(outcome), DEADLINE), (begins, DEADLINE)
    ) == [4]


def test_deadline_that_is_not_over_turns_nothing_back() -> None:
    assert breaches((BACK, DEADLINE)) == []
    assert breaches((BACK, DEADLINE - SECOND)) == [2]


def test_pivot_in_doubt_or_passed_lets_steps_begin_after_the_deadline() -> None:
    in_doubt: list[Timed] = [(called("pay"), NOON), (called("book"), DEADLINE)]
    passed: list[Timed] = [(called("pay"), NOON), (done("pay"), NOON), (called("ship"), DEADLINE)]
    refused: list[Timed] = [
        (called("pay"), NOON),
        (rejected("pay"), NOON),
        (called("ship"), DEADLINE),
    ]

    assert breaches(*in_doubt) == []
    assert breaches(*passed) == []
    assert breaches(*refused) == [4]


def test_operator_command_that_unparks_lifts_a_deadline_that_is_over() -> None:
    unparked = SagaUnparked(back=False)

    assert breaches((parked(), NOON), (unparked, DEADLINE), (called("book"), DEADLINE)) == []
    assert breaches((parked(), NOON), (unparked, NOON), (called("book"), DEADLINE)) == [4]


def test_deadline_stands_still_while_the_saga_is_paused() -> None:
    pause: list[Timed] = [(SagaPaused(), NOON), (SagaResumed(), DEADLINE)]
    due = DEADLINE + timedelta(minutes=1)

    assert breaches(*pause, (called("book"), due - SECOND)) == []
    assert breaches(*pause, (BACK, due - SECOND)) == [4]
    assert breaches(*pause, (called("book"), due)) == [4]


def test_deadline_stands_still_until_the_last_pause_ends() -> None:
    pauses: list[Timed] = [
        (SagaPaused(), NOON),
        (SagaPaused(by_parent=True), NOON),
        (SagaResumed(by_parent=True), NOON + 30 * SECOND),
        (SagaResumed(), DEADLINE),
    ]
    due = DEADLINE + timedelta(minutes=1)

    assert breaches(*pauses, (called("book"), due - SECOND)) == []
    assert breaches(*pauses, (called("book"), due)) == [6]


def test_pivot_that_a_truthful_operator_finds_during_compensation_was_passed() -> None:
    history = history_of_events(
        DEFINITION,
        *(called("book"), done("book"), called("pay"), rejected("pay"), BACK, undo("book")),
        CompensationFailed(step="book", attempt=1, error="no"),
        SagaParked(reason="no", not_undone=("book",)),
        StepResolved(step="pay", verdict=Resolution.DONE, evidence="seen"),
        SagaUnparked(back=True),
        undo("book", 2),
    )

    assert list(pivots_hold(history)) == []
    assert list(pivots_hold(history, truthful_operator=True)) == [
        (12, "CompensationCalled of book after the pivot pay was passed")
    ]
