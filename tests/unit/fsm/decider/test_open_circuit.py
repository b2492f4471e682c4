"""Calls that are withheld from a participant whose circuit is open."""

from __future__ import annotations

from saga_orchestrator.fsm.call_outcome import Outcome
from saga_orchestrator.fsm.events import StepBackedOff, StepCalled
from saga_orchestrator.fsm.inputs import CircuitClosed, TimerFired
from saga_orchestrator.fsm.testing import (
    CIRCUIT_OPEN,
    NOON,
    NOT_SENT,
    REJECTED,
    UNKNOWN,
    Scenario,
    action_answer,
    circuit_open,
    compensation_answer,
    define,
    given,
    status_answer,
)
from saga_orchestrator.tests.unit.fsm.decider.scenarios import ASKED, MINUTE, SECOND, TWO, all_done

BACK = CircuitClosed("book-service")


def held_back() -> Scenario:
    return given(TWO).when(action_answer("book", circuit_open(MINUTE)))


def test_withheld_call_waits_for_the_open_circuit() -> None:
    held_back().then(
        StepBackedOff(
            step="book",
            attempt=1,
            outcome=Outcome.CIRCUIT_OPEN,
            error="it does not respond",
            until=NOON + MINUTE,
        )
    )

    not_told = given(TWO).when(action_answer("book", CIRCUIT_OPEN))
    assert not_told.step("book").next_attempt_at == NOON + SECOND


def test_withheld_call_consumes_no_attempt() -> None:
    case = given(define("book attempts=1"))
    for _ in range(5):
        case = case.when(action_answer("book", circuit_open(MINUTE))).when(
            TimerFired(), after=MINUTE
        )

    case.then_calls("book#1")


def test_withheld_call_was_certainly_not_executed() -> None:
    held_back().when(ASKED).then_status("compensated", book="not_sent")


def test_withheld_call_is_sent_once_the_circuit_closes() -> None:
    held_back().when(BACK).then(StepCalled(step="book", attempt=1)).then_calls("book#1")


def test_closed_circuit_releases_the_calls_of_one_participant() -> None:
    held_back().when(CircuitClosed("pay-service")).then_nothing_happened()


def test_step_that_backs_off_for_another_reason_waits_on() -> None:
    given(TWO).when(action_answer("book", NOT_SENT)).when(BACK).then_nothing_happened()


def test_call_in_flight_is_not_sent_again_when_the_circuit_closes() -> None:
    given(TWO).when(BACK).then_nothing_happened()


def test_a_question_that_was_held_back_is_asked_again() -> None:
    case = given(define("book status")).when(action_answer("book", UNKNOWN))
    case = case.when(TimerFired(), after=MINUTE).when(status_answer("book", circuit_open(MINUTE)))

    case.when(BACK).then_calls("status book#1")


def test_branches_are_held_back_each_with_its_participant() -> None:
    case = given(define("book after=", "pay after="))
    case = case.when(action_answer("book", CIRCUIT_OPEN)).when(action_answer("pay", CIRCUIT_OPEN))

    case = case.when(BACK).then_calls("book#1")
    case.when(CircuitClosed("pay-service")).then_calls("pay#1")


def test_withheld_call_is_not_sent_after_the_deadline() -> None:
    case = given(define("book", deadline="1m")).when(
        action_answer("book", circuit_open(2 * MINUTE))
    )

    case.when(BACK, after=MINUTE).then_calls().then_status("compensated", book="not_sent")


def test_a_compensation_that_was_held_back_waits_for_its_time() -> None:
    case = all_done(given(TWO), "book").when(action_answer("pay", REJECTED))
    case = (
        case.when(compensation_answer("book", circuit_open(MINUTE)))
        .when(BACK)
        .then_nothing_happened()
    )

    case.when(TimerFired(), after=MINUTE).then_calls("undo book#1")
