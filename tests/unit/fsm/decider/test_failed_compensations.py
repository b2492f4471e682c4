"""R5: failed compensations and their policies."""

from __future__ import annotations

import pytest
from saga_orchestrator.fsm.call_outcome import CallOutcome
from saga_orchestrator.fsm.events import (
    CompensationBackedOff,
    CompensationFailed,
    CompensationSucceeded,
    SagaParked,
)
from saga_orchestrator.fsm.inputs import TimerFired
from saga_orchestrator.fsm.testing import (
    BUSY,
    DONE,
    NOON,
    NOT_SENT,
    REJECTED,
    THROTTLED,
    UNKNOWN,
    Scenario,
    action_answer,
    compensation_answer,
    define,
    document,
    given,
)
from saga_orchestrator.tests.unit.fsm.decider.scenarios import (
    ASKED,
    FIRST_WAIT,
    MINUTE,
    all_done,
    mapped,
)


def turned_back(*steps: str) -> Scenario:
    names = [step.split()[0] for step in steps]
    return all_done(given(define(*steps, "last")), *names).when(action_answer("last", REJECTED))


def test_a_refused_compensation_parks_and_stops_there() -> None:
    case = turned_back("book", "pay").when(compensation_answer("pay", REJECTED))

    case.then(
        CompensationFailed(step="pay", attempt=1, error="409 no"),
        SagaParked(reason="compensation of pay failed: 409 no", not_undone=("book", "pay")),
    ).then_status("parked", book="succeeded", pay="compensation_failed")


def test_failed_compensation_with_policy_continue_parks_after_the_others() -> None:
    case = turned_back("book", "pay continue")
    case = case.when(compensation_answer("pay", REJECTED)).then_calls("undo book#1")

    case.when(compensation_answer("book", DONE)).then(
        CompensationSucceeded(step="book", attempt=1),
        SagaParked(reason="compensation of pay failed: 409 no", not_undone=("pay",)),
    )


def test_stop_is_another_word_for_park() -> None:
    definition = document("book", "pay")
    compensation = {"path": "/undo", "on_failure": "stop"}
    changed = mapped(dict(definition), 1, compensation=compensation)
    case = all_done(given(changed), "book", "pay").when(ASKED)

    case.when(compensation_answer("pay", REJECTED)).then_status("parked", book="succeeded")


def test_steps_that_a_failed_compensation_implies_are_listed_too() -> None:
    definition = define("book continue", "confirm undone_by=book", "pay")
    case = all_done(given(definition), "book", "confirm").when(action_answer("pay", REJECTED))
    case = case.when(compensation_answer("book", REJECTED))

    assert case.events[-1] == SagaParked(
        reason="compensation of book failed: 409 no", not_undone=("book", "confirm")
    )


@pytest.mark.parametrize("outcome", [UNKNOWN, NOT_SENT])
def test_a_compensation_is_tried_as_often_as_it_says(outcome: CallOutcome) -> None:
    case = turned_back("book undo_attempts=2").when(compensation_answer("book", outcome))
    case.then(
        CompensationBackedOff(
            step="book",
            attempt=1,
            outcome=outcome.kind,
            error=outcome.reason,
            until=NOON + FIRST_WAIT / 2,
        )
    )

    case = case.when(TimerFired(), after=MINUTE).then_calls("undo book#2")
    case.when(compensation_answer("book", outcome, attempt=2)).then_status("parked")


@pytest.mark.parametrize("outcome", [BUSY, THROTTLED])
def test_busy_and_throttled_use_no_attempt_of_a_compensation_up(outcome: CallOutcome) -> None:
    case = turned_back("book undo_attempts=1")
    for _ in range(5):
        case = case.when(compensation_answer("book", outcome)).then_status("compensating")
        case = case.when(TimerFired(), after=MINUTE).then_calls("undo book#1")

    case.when(compensation_answer("book", DONE)).then_status("compensated")


def test_compensation_has_twelve_attempts_by_default() -> None:
    case = turned_back("book")
    for attempt in range(1, 12):
        case = case.when(compensation_answer("book", UNKNOWN, attempt=attempt))
        case = case.when(TimerFired(), after=MINUTE).then_calls(f"undo book#{attempt + 1}")

    case.when(compensation_answer("book", UNKNOWN, attempt=12)).then_status("parked")
