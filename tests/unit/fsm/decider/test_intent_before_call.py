"""R1: the intent of a call is recorded before the call is sent."""

from __future__ import annotations

from hypothesis import given as drawn
from hypothesis import strategies as st
from saga_orchestrator.fsm.call_outcome import CallOutcome, Direction
from saga_orchestrator.fsm.inputs import TimerFired
from saga_orchestrator.fsm.instructions import pending_call
from saga_orchestrator.fsm.state import as_recorded
from saga_orchestrator.fsm.testing import (
    BUSY,
    DONE,
    NOT_SENT,
    REJECTED,
    UNKNOWN,
    action_answer,
    define,
    given,
)
from saga_orchestrator.tests.unit.fsm.decider.scenarios import MINUTE, TWO


@drawn(st.lists(st.sampled_from([DONE, REJECTED, UNKNOWN, BUSY, NOT_SENT]), max_size=8))
def test_every_call_leaves_with_its_recorded_intent(outcomes: list[CallOutcome]) -> None:
    case = given(define("book", "pay", "ship continue"))
    for outcome in outcomes:
        for input_ in (
            action_answer("book", outcome),
            action_answer("pay", outcome),
            TimerFired(),
        ):
            case = case.when(input_, after=MINUTE)
            logged = as_recorded(case.state)
            for call in case.calls:
                state = logged.step(call.step)
                undoes = call.direction is Direction.COMPENSATION
                tried = state.compensation_attempts if undoes else state.attempts
                assert (pending_call(state), tried) == (call.direction, call.attempt)


def test_the_key_is_that_of_saga_step_and_direction() -> None:
    first = given(TWO)
    again = first.when(action_answer("book", UNKNOWN)).when(TimerFired(), after=MINUTE)
    undo = again.when(action_answer("book", DONE, attempt=2)).when(action_answer("pay", REJECTED))

    keys = [scenario.calls[0].key.partition("/")[2] for scenario in (first, again, undo)]

    assert keys == ["book/action", "book/action", "book/compensation"]
