from __future__ import annotations

from saga_orchestrator.fsm.events import SagaCompleted, StepCalled, StepSucceeded
from saga_orchestrator.fsm.inputs import TimerFired
from saga_orchestrator.fsm.testing import (
    DONE,
    NOON,
    REJECTED,
    action_answer,
    compensation_answer,
    done,
    given,
)
from saga_orchestrator.tests.unit.fsm.decider.scenarios import MINUTE, TWO, all_done


def test_a_start_calls_the_first_step() -> None:
    case = given(TWO).then_calls("book#1")

    assert case.events[1:] == (StepCalled(step="book", attempt=1),)


def test_a_done_step_calls_the_next_in_the_same_append() -> None:
    """R1: the answer and the next intent commit together."""
    given(TWO).when(action_answer("book", done({"id": 1}))).then(
        StepSucceeded(step="book", attempt=1, output={"id": 1}),
        StepCalled(step="pay", attempt=1),
    ).then_calls("pay#1")


def test_the_last_done_step_completes() -> None:
    all_done(given(TWO), "book").when(action_answer("pay", DONE)).then(
        StepSucceeded(step="pay", attempt=1), SagaCompleted()
    ).then_calls().then_status("completed", book="succeeded", pay="succeeded")


def test_unexpected_answer_changes_nothing() -> None:
    given(TWO).when(action_answer("book", DONE)).when(
        action_answer("book", REJECTED)
    ).then_nothing_happened()
    given(TWO).when(action_answer("pay", DONE)).then_nothing_happened()
    given(TWO).when(compensation_answer("book", DONE)).then_nothing_happened()


def test_timer_changes_nothing_while_a_call_is_in_flight() -> None:
    given(TWO).when(TimerFired(), after=MINUTE).then_nothing_happened()


def test_clock_that_was_set_back_does_not_turn_time_back() -> None:
    case = given(TWO).when(action_answer("book", DONE), after=-MINUTE)

    assert case.state.updated_at == NOON
