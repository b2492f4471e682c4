"""`completion: poll`: an accepted step is polled until it is done."""

from __future__ import annotations

from datetime import timedelta

import pytest
from saga_orchestrator.fsm.call_outcome import CallOutcome
from saga_orchestrator.fsm.events import (
    StatusQueried,
    StepAccepted,
    StepRejected,
    StepSucceeded,
    StepUnknown,
)
from saga_orchestrator.fsm.inputs import TimerFired
from saga_orchestrator.fsm.instructions import next_wakeup
from saga_orchestrator.fsm.testing import (
    ACCEPTED,
    BUSY,
    CIRCUIT_OPEN,
    DONE,
    NOON,
    NOT_DONE,
    NOT_SENT,
    THROTTLED,
    UNKNOWN,
    Scenario,
    action_answer,
    define,
    done,
    given,
    status_answer,
)
from saga_orchestrator.tests.unit.fsm.decider.scenarios import (
    ASKED,
    MINUTE,
    SECOND,
    all_done,
    all_undone,
)

DEFINITION = define("book", "pay poll")
LIMIT = 15 * MINUTE


def accepted() -> Scenario:
    return all_done(given(DEFINITION), "book").when(action_answer("pay", ACCEPTED))


def asked() -> Scenario:
    return accepted().when(TimerFired(), after=SECOND)


def test_an_accepted_step_is_asked_for_after_the_first_wait() -> None:
    accepted().then(
        StepAccepted(step="pay", attempt=1, until=NOON + LIMIT, next_poll=NOON + SECOND)
    )

    asked().then(StatusQueried(step="pay", attempt=1)).then_calls("status pay#1")


def test_poll_with_done_completes_the_step() -> None:
    case = asked().when(status_answer("pay", done({"id": 7}))).then_status("completed")

    assert case.events[0] == StepSucceeded(step="pay", attempt=1, output={"id": 7})


def test_poll_with_not_done_rejects_the_step() -> None:
    case = asked().when(status_answer("pay", NOT_DONE)).then_calls("undo book#1")

    assert case.events[0] == StepRejected(
        step="pay", attempt=1, error="the participant does not know the call"
    )


@pytest.mark.parametrize("outcome", [BUSY, UNKNOWN, NOT_SENT, THROTTLED, CIRCUIT_OPEN])
def test_unclear_poll_is_repeated_at_growing_intervals(outcome: CallOutcome) -> None:
    case, waits = asked(), []
    for _ in range(4):
        case = case.when(status_answer("pay", outcome)).then_status("running", pay="waiting")
        waits.append((next_wakeup(case.saga) or case.now) - case.now)
        case = case.when(TimerFired(), after=waits[-1]).then_calls("status pay#1")

    assert waits == [timedelta(seconds=wait) for wait in (1, 2, 4, 8)]


def test_polls_have_a_longest_wait_and_use_no_attempt_up() -> None:
    case = asked()
    for _ in range(20):
        case = case.when(status_answer("pay", BUSY))
        assert (next_wakeup(case.saga) or NOON) <= case.now + MINUTE
        case = case.when(TimerFired(), after=MINUTE)
        if case.now < NOON + LIMIT:
            case.then_calls("status pay#1")

    assert case.step("pay").attempts == 1


def test_the_end_of_its_time_does_not_move_and_makes_it_unknown() -> None:
    case = asked()
    case = case.when(status_answer("pay", BUSY), after=LIMIT - MINUTE)
    assert case.step("pay").wait_deadline == NOON + LIMIT

    case = case.when(TimerFired(), after=MINUTE).then_calls("undo pay#1")
    assert case.events[0] == StepUnknown(step="pay", attempt=1, error="not completed within 15m")


def test_an_answer_at_the_end_of_its_time_still_counts() -> None:
    """R6."""
    case = asked().when(TimerFired(), after=LIMIT).then_nothing_happened()

    case.when(status_answer("pay", DONE)).then_status("completed")


@pytest.mark.parametrize(
    ("outcome", "undone"), [(DONE, True), (BUSY, True), (UNKNOWN, True), (NOT_DONE, False)]
)
def test_the_turn_awaits_the_question_that_is_out(outcome: CallOutcome, undone: bool) -> None:
    case = asked().when(ASKED).then_calls().when(status_answer("pay", outcome))

    all_undone(case, *["pay"] * undone, "book").then_status("compensated")


def test_an_attempt_in_doubt_before_it_was_accepted_is_asked_for_as_well() -> None:
    case = all_done(given(DEFINITION), "book").when(action_answer("pay", UNKNOWN))
    case = case.when(TimerFired(), after=MINUTE).then_calls("status pay#1")

    case.when(status_answer("pay", NOT_DONE)).then_calls("pay#2")
