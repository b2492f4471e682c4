from __future__ import annotations

from saga_orchestrator.fsm.events import (
    Cause,
    CompensationCalled,
    CompensationStarted,
    StepCalled,
    StepRejected,
    StepSucceeded,
    WaitStarted,
)
from saga_orchestrator.fsm.inputs import TimerFired
from saga_orchestrator.fsm.instructions import next_wakeup
from saga_orchestrator.fsm.testing import DONE, NOON, REJECTED, action_answer, define, given
from saga_orchestrator.tests.unit.fsm.decider.scenarios import ASKED, MINUTE, SECOND, all_done

SLEEPS = define("book", "rest sleep=10m", "pay")


def test_a_sleep_begins_when_its_turn_comes_and_has_a_wake_up() -> None:
    case = all_done(given(SLEEPS), "book")

    case.then(
        StepSucceeded(step="book", attempt=1),
        WaitStarted(step="rest", until=NOON + 10 * MINUTE),
    ).then_calls()
    assert next_wakeup(case.saga) == NOON + 10 * MINUTE


def test_a_sleep_ends_at_its_time_and_not_before() -> None:
    case = all_done(given(SLEEPS), "book")
    case.when(TimerFired(), after=10 * MINUTE - SECOND).then_nothing_happened()

    case.when(TimerFired(), after=10 * MINUTE).then(
        StepSucceeded(step="rest", attempt=0), StepCalled(step="pay", attempt=1)
    )


def test_a_sleep_is_not_undone() -> None:
    case = all_done(given(SLEEPS), "book").when(TimerFired(), after=10 * MINUTE)

    case.when(action_answer("pay", REJECTED)).then_calls("undo book#1").then_status(
        "compensating", rest="succeeded"
    )


def test_a_sleep_is_called_off_when_the_saga_turns_back() -> None:
    all_done(given(SLEEPS), "book").when(ASKED).then(
        CompensationStarted(
            cause=Cause.REQUEST,
            error="compensation was requested: a mistake",
            actor="anna",
            reason="a mistake",
        ),
        StepRejected(step="rest", attempt=0, error="stopped, because the saga compensates"),
        CompensationCalled(step="book", attempt=1),
    )


def test_a_deadline_comes_before_the_end_of_a_sleep() -> None:
    definition = define("book", "rest sleep=10m", "pay", deadline="1m")
    case = all_done(given(definition), "book")
    assert next_wakeup(case.saga) == NOON + MINUTE

    case.when(TimerFired(), after=MINUTE).then_calls("undo book#1")


def test_a_sleep_that_is_over_after_the_deadline_starts_nothing_new() -> None:
    definition = define("book", "rest sleep=1m", "pay", deadline="2m")
    case = all_done(given(definition), "book").when(TimerFired(), after=5 * MINUTE)

    case.then_calls("undo book#1")


def test_sleeps_side_by_side_wake_each_for_itself() -> None:
    case = given(define("short sleep=1m after=", "long sleep=2m after=", "pay after=short"))
    assert next_wakeup(case.saga) == NOON + MINUTE

    case = case.when(TimerFired(), after=MINUTE).then_calls("pay#1")
    assert next_wakeup(case.saga) == NOON + 2 * MINUTE
    all_done(case, "pay").when(TimerFired(), after=MINUTE).then_status("completed")


def test_a_last_sleep_completes() -> None:
    case = given(define("book", "rest sleep=1m")).when(action_answer("book", DONE))

    case.when(TimerFired(), after=MINUTE).then_status("completed", rest="succeeded")
