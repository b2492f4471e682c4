"""R1."""

from __future__ import annotations

from hypothesis import given as drawn
from hypothesis import strategies as st
from saga_orchestrator.fsm.command import awaited
from saga_orchestrator.fsm.happening import TimePassed
from saga_orchestrator.fsm.outcome import Direction, Verdict
from saga_orchestrator.fsm.state import as_recorded
from saga_orchestrator.fsm.testing import (
    BUSY,
    DONE,
    NOT_SENT,
    REJECTED,
    UNKNOWN,
    answered,
    define,
    given,
)
from saga_orchestrator.tests.unit.fsm.decide.cases import MINUTE, TWO


@drawn(st.lists(st.sampled_from([DONE, REJECTED, UNKNOWN, BUSY, NOT_SENT]), max_size=8))
def test_every_call_leaves_with_its_recorded_intent(verdicts: list[Verdict]) -> None:
    case = given(define("book", "pay", "ship continue"))
    for verdict in verdicts:
        for happening in (answered("book", verdict), answered("pay", verdict), TimePassed()):
            case = case.when(happening, after=MINUTE)
            logged = as_recorded(case.state)
            for call in case.calls:
                state = logged.step(call.step)
                undoes = call.direction is Direction.COMPENSATION
                tried = state.compensation_attempts if undoes else state.attempts
                assert (awaited(state), tried) == (call.direction, call.attempt)


def test_the_key_is_that_of_saga_step_and_direction() -> None:
    first = given(TWO)
    again = first.when(answered("book", UNKNOWN)).when(TimePassed(), after=MINUTE)
    undo = again.when(answered("book", DONE, attempt=2)).when(answered("pay", REJECTED))

    keys = [one.calls[0].key.partition("/")[2] for one in (first, again, undo)]

    assert keys == ["book/action", "book/action", "book/compensation"]
