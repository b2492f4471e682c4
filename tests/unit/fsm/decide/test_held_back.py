"""What is not sent to a participant that answers nobody."""

from __future__ import annotations

from saga_orchestrator.fsm.events import StepBackedOff, StepCalled
from saga_orchestrator.fsm.happening import ParticipantBack, TimePassed
from saga_orchestrator.fsm.outcome import Outcome
from saga_orchestrator.fsm.testing import (
    HELD,
    NOON,
    NOT_SENT,
    REJECTED,
    UNKNOWN,
    Case,
    answered,
    define,
    given,
    held,
    told,
    undo_answered,
)
from saga_orchestrator.tests.unit.fsm.decide.cases import (
    ASKED,
    MINUTE,
    SECOND,
    TWO,
    all_done,
)

BACK = ParticipantBack("book-service")


def held_back() -> Case:
    return given(TWO).when(answered("book", held(MINUTE)))


def test_what_is_held_back_waits_as_long_as_it_is_told() -> None:
    held_back().then(
        StepBackedOff(
            step="book",
            attempt=1,
            outcome=Outcome.HELD,
            error="it answers nobody",
            until=NOON + MINUTE,
        )
    )

    not_told = given(TWO).when(answered("book", HELD))
    assert not_told.step("book").next_attempt_at == NOON + SECOND


def test_it_uses_no_attempt_up() -> None:
    case = given(define("book attempts=1"))
    for _ in range(5):
        case = case.when(answered("book", held(MINUTE))).when(TimePassed(), after=MINUTE)

    case.then_calls("book#1")


def test_it_certainly_did_not_happen() -> None:
    held_back().when(ASKED).then_status("compensated", book="not_sent")


def test_it_is_called_as_soon_as_the_participant_is_back() -> None:
    held_back().when(BACK).then(StepCalled(step="book", attempt=1)).then_calls("book#1")


def test_who_is_back_is_one_participant() -> None:
    held_back().when(ParticipantBack("pay-service")).then()


def test_what_backs_off_for_another_reason_waits_on() -> None:
    given(TWO).when(answered("book", NOT_SENT)).when(BACK).then()


def test_what_is_called_is_not_called_twice() -> None:
    given(TWO).when(BACK).then()


def test_a_question_that_was_held_back_is_asked_again() -> None:
    case = given(define("book status")).when(answered("book", UNKNOWN))
    case = case.when(TimePassed(), after=MINUTE).when(told("book", held(MINUTE)))

    case.when(BACK).then_calls("ask book#1")


def test_branches_are_held_back_each_with_its_participant() -> None:
    case = given(define("book after=", "pay after="))
    case = case.when(answered("book", HELD)).when(answered("pay", HELD))

    case = case.when(BACK).then_calls("book#1")
    case.when(ParticipantBack("pay-service")).then_calls("pay#1")


def test_after_the_deadline_it_is_not_called() -> None:
    case = given(define("book", deadline="1m")).when(answered("book", held(2 * MINUTE)))

    case.when(BACK, after=MINUTE).then_calls().then_status("compensated", book="not_sent")


def test_a_compensation_that_was_held_back_waits_for_its_time() -> None:
    case = all_done(given(TWO), "book").when(answered("pay", REJECTED))
    case = case.when(undo_answered("book", held(MINUTE))).when(BACK).then()

    case.when(TimePassed(), after=MINUTE).then_calls("undo book#1")
