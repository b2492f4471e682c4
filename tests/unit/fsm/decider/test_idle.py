"""An idle saga only waits, and need not be in memory."""

from __future__ import annotations

import pytest
from saga_orchestrator.fsm.decider.decide import is_idle
from saga_orchestrator.fsm.events import Event, StepCalled, StepSucceeded
from saga_orchestrator.fsm.inputs import Pause, TimerFired
from saga_orchestrator.fsm.instructions import next_wakeup, pending_instructions
from saga_orchestrator.fsm.machines import SagaStatus
from saga_orchestrator.fsm.testing import (
    ACCEPTED,
    DONE,
    NOON,
    REJECTED,
    UNKNOWN,
    Scenario,
    action_answer,
    child_finished,
    compensation_answer,
    define,
    given,
)
from saga_orchestrator.tests.unit.fsm.decider.scenarios import ASKED, MINUTE, TWO, all_done

TURNED = all_done(given(TWO), "book").when(action_answer("pay", REJECTED))
CHILD = given(define("hotel child=room"))
IDLE = {
    "put off": given(TWO, start_at=NOON + MINUTE),
    "backing off": given(TWO).when(action_answer("book", UNKNOWN)),
    "asleep": given(define("rest sleep=1m")),
    "waiting for a signal": given(define("approve signal=go")),
    "accepted": given(define("book callback")).when(action_answer("book", ACCEPTED)),
    "polled": given(define("book poll")).when(action_answer("book", ACCEPTED)),
    "undo backing off": TURNED.when(compensation_answer("book", UNKNOWN)),
    "paused while it backs off": given(TWO).when(action_answer("book", UNKNOWN)).when(Pause()),
    "paused with an answer": given(TWO).when(Pause()).when(action_answer("book", DONE)),
}
BUSY = {
    "called": given(TWO),
    "asked": given(define("book status"))
    .when(action_answer("book", UNKNOWN))
    .when(TimerFired(), after=MINUTE),
    "undone": TURNED,
    "paused over a call": given(TWO).when(Pause()),
    "waiting for a child": CHILD,
    "undoing a child": CHILD.when(child_finished("hotel", SagaStatus.COMPLETED)).when(ASKED),
    "calling a child back": CHILD.when(ASKED),
    "one branch called": given(define("book after=", "rest sleep=1m after=")),
    "completed": all_done(given(TWO), "book", "pay"),
    "compensated": given(TWO).when(action_answer("book", REJECTED)),
    "parked": TURNED.when(compensation_answer("book", REJECTED)),
}


@pytest.mark.parametrize("case", IDLE.values(), ids=IDLE.keys())
def test_waiting_saga_is_idle(case: Scenario) -> None:
    assert is_idle(case.saga)
    assert pending_instructions(case.saga) == []
    assert next_wakeup(case.saga) is not None or case.state.paused_at is not None


@pytest.mark.parametrize("case", BUSY.values(), ids=BUSY.keys())
def test_saga_at_work_or_at_rest_is_not_idle(case: Scenario) -> None:
    assert not is_idle(case.saga)


def test_saga_with_a_pending_decision_is_not_idle() -> None:
    """A stopping process has recorded a result without its consequences."""
    history: list[Event] = [
        StepCalled(step="book", attempt=1),
        StepSucceeded(step="book", attempt=1),
    ]
    case = given(TWO, history=history)

    assert not is_idle(case.saga)
    case.when(TimerFired()).then_calls("pay#1")


def test_is_idle_changes_nothing() -> None:
    case = IDLE["backing off"]
    before = case.saga

    is_idle(case.saga)

    assert case.saga == before
