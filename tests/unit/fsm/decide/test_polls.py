"""`completion: poll`: a step that was only accepted is asked for until it is done."""

from __future__ import annotations

from datetime import timedelta

import pytest
from saga_orchestrator.fsm.command import wake_up
from saga_orchestrator.fsm.events import (
    StatusAsked,
    StepAccepted,
    StepRejected,
    StepSucceeded,
    StepUnknown,
)
from saga_orchestrator.fsm.happening import TimePassed
from saga_orchestrator.fsm.outcome import Verdict
from saga_orchestrator.fsm.testing import (
    ACCEPTED,
    BUSY,
    DONE,
    HELD,
    NOON,
    NOT_DONE,
    NOT_SENT,
    THROTTLED,
    UNKNOWN,
    Case,
    answered,
    define,
    done,
    given,
    told,
)
from saga_orchestrator.tests.unit.fsm.decide.cases import (
    ASKED,
    MINUTE,
    SECOND,
    all_done,
    all_undone,
)

DEFINITION = define("book", "pay poll")
LIMIT = 15 * MINUTE


def accepted() -> Case:
    return all_done(given(DEFINITION), "book").when(answered("pay", ACCEPTED))


def asked() -> Case:
    return accepted().when(TimePassed(), after=SECOND)


def test_an_accepted_step_is_asked_for_after_the_first_wait() -> None:
    accepted().then(
        StepAccepted(step="pay", attempt=1, until=NOON + LIMIT, next_poll=NOON + SECOND)
    )

    asked().then(StatusAsked(step="pay", attempt=1)).then_calls("ask pay#1")


def test_done_is_done() -> None:
    case = asked().when(told("pay", done({"id": 7}))).then_status("completed")

    assert case.events[0] == StepSucceeded(step="pay", attempt=1, output={"id": 7})


def test_not_done_is_a_rejection() -> None:
    case = asked().when(told("pay", NOT_DONE)).then_calls("undo book#1")

    assert case.events[0] == StepRejected(step="pay", attempt=1, error="never heard of it")


@pytest.mark.parametrize("verdict", [BUSY, UNKNOWN, NOT_SENT, THROTTLED, HELD])
def test_without_a_clear_answer_it_is_asked_again_at_growing_waits(verdict: Verdict) -> None:
    case, waits = asked(), []
    for _ in range(4):
        case = case.when(told("pay", verdict)).then_status("running", pay="waiting")
        waits.append((wake_up(case.saga) or case.now) - case.now)
        case = case.when(TimePassed(), after=waits[-1]).then_calls("ask pay#1")

    assert waits == [timedelta(seconds=wait) for wait in (1, 2, 4, 8)]


def test_polls_have_a_longest_wait_and_use_no_attempt_up() -> None:
    case = asked()
    for _ in range(20):
        case = case.when(told("pay", BUSY))
        assert (wake_up(case.saga) or NOON) <= case.now + MINUTE
        case = case.when(TimePassed(), after=MINUTE)
        if case.now < NOON + LIMIT:
            case.then_calls("ask pay#1")

    assert case.step("pay").attempts == 1


def test_the_end_of_its_time_does_not_move_and_makes_it_unknown() -> None:
    case = asked()
    case = case.when(told("pay", BUSY), after=LIMIT - MINUTE)
    assert case.step("pay").until == NOON + LIMIT

    case = case.when(TimePassed(), after=MINUTE).then_calls("undo pay#1")
    assert case.events[0] == StepUnknown(
        step="pay", attempt=1, error="nobody said within 15m that it is done"
    )


def test_an_answer_at_the_end_of_its_time_still_counts() -> None:
    """R6."""
    case = asked().when(TimePassed(), after=LIMIT).then()

    case.when(told("pay", DONE)).then_status("completed")


@pytest.mark.parametrize(
    ("verdict", "undone"), [(DONE, True), (BUSY, True), (UNKNOWN, True), (NOT_DONE, False)]
)
def test_the_turn_awaits_the_question_that_is_out(verdict: Verdict, undone: bool) -> None:
    case = asked().when(ASKED).then_calls().when(told("pay", verdict))

    all_undone(case, *["pay"] * undone, "book").then_status("compensated")


def test_an_attempt_in_doubt_before_it_was_accepted_is_asked_for_as_well() -> None:
    case = all_done(given(DEFINITION), "book").when(answered("pay", UNKNOWN))
    case = case.when(TimePassed(), after=MINUTE).then_calls("ask pay#1")

    case.when(told("pay", NOT_DONE)).then_calls("pay#2")
