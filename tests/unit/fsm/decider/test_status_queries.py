"""The status of an unknown attempt is queried before the action is called again."""

from __future__ import annotations

import pytest
from saga_orchestrator.fsm.call_outcome import CallOutcome
from saga_orchestrator.fsm.events import SagaCompleted, StatusQueried, StepSucceeded
from saga_orchestrator.fsm.inputs import TimerFired
from saga_orchestrator.fsm.testing import (
    BUSY,
    CIRCUIT_OPEN,
    DONE,
    NOT_DONE,
    NOT_SENT,
    REJECTED,
    THROTTLED,
    UNKNOWN,
    Scenario,
    action_answer,
    define,
    done,
    given,
    status_answer,
)
from saga_orchestrator.tests.unit.fsm.decider.scenarios import ASKED, MINUTE

DEFINITION = define("book status attempts=3")


def in_doubt() -> Scenario:
    case = given(DEFINITION).when(action_answer("book", UNKNOWN))
    return case.when(TimerFired(), after=MINUTE).then_calls("status book#1")


def test_the_question_is_recorded_before_it_is_asked() -> None:
    assert in_doubt().events == (StatusQueried(step="book", attempt=1),)


def test_a_question_carries_the_key_of_its_action() -> None:
    assert in_doubt().calls[0].key.endswith("/book/action")


def test_status_done_completes_the_step() -> None:
    in_doubt().when(status_answer("book", done({"id": 1}))).then(
        StepSucceeded(step="book", attempt=1, output={"id": 1}), SagaCompleted()
    )


def test_status_not_done_calls_the_action_again_at_once() -> None:
    case = in_doubt().when(status_answer("book", NOT_DONE)).then_calls("book#2")

    case.when(action_answer("book", REJECTED, attempt=2)).then_status(
        "compensated", book="rejected"
    )


def test_status_not_done_of_the_last_attempt_is_not_sent() -> None:
    case = given(define("book status attempts=2"))
    case = case.when(action_answer("book", UNKNOWN)).when(TimerFired(), after=MINUTE)
    case = case.when(status_answer("book", NOT_DONE)).when(
        action_answer("book", NOT_SENT, attempt=2)
    )

    case.then_status("compensated", book="not_sent")


@pytest.mark.parametrize("outcome", [BUSY, THROTTLED, CIRCUIT_OPEN])
def test_status_queries_that_consume_no_attempt_have_no_limit(outcome: CallOutcome) -> None:
    case = in_doubt()
    for _ in range(10):
        case = case.when(status_answer("book", outcome)).when(TimerFired(), after=MINUTE)
        case.then_calls("status book#1")


@pytest.mark.parametrize("unclear", [UNKNOWN, NOT_SENT, REJECTED])
def test_unclear_status_replies_consume_attempts(unclear: CallOutcome) -> None:
    case = in_doubt().when(status_answer("book", unclear)).when(TimerFired(), after=MINUTE)

    case.then_calls("status book#2")
    case.when(status_answer("book", unclear, attempt=2)).then_calls("undo book#1")


def test_certain_step_is_not_queried() -> None:
    for outcome in (BUSY, NOT_SENT, THROTTLED):
        case = given(DEFINITION).when(action_answer("book", outcome))
        case = case.when(TimerFired(), after=MINUTE)
        assert case.calls[0].direction == "action"


def test_a_step_without_a_status_is_just_tried_again() -> None:
    case = given(define("book")).when(action_answer("book", UNKNOWN))

    case.when(TimerFired(), after=MINUTE).then_calls("book#2")


@pytest.mark.parametrize(
    ("outcome", "undone"), [(DONE, True), (UNKNOWN, True), (BUSY, True), (NOT_DONE, False)]
)
def test_the_turn_awaits_the_question_and_sends_nothing_new(
    outcome: CallOutcome, undone: bool
) -> None:
    case = in_doubt().when(ASKED).then_calls().when(status_answer("book", outcome))

    case.then_calls(*["undo book#1"] * undone)


def test_action_that_was_not_executed_is_not_called_again_after_the_deadline() -> None:
    case = given(define("book status", "pay", deadline="2m")).when(action_answer("book", UNKNOWN))
    case = case.when(TimerFired(), after=MINUTE).then_calls("status book#1")

    case.when(status_answer("book", NOT_DONE), after=MINUTE).then_calls().then_status(
        "compensated", book="not_sent"
    )
