"""R2: all forward calls settle before the first compensation."""

from __future__ import annotations

import pytest
from saga_orchestrator.fsm.call_outcome import CallOutcome
from saga_orchestrator.fsm.events import StepNotSent, StepUnknown
from saga_orchestrator.fsm.inputs import TimerFired
from saga_orchestrator.fsm.testing import (
    BUSY,
    DONE,
    NOT_SENT,
    REJECTED,
    THROTTLED,
    UNKNOWN,
    action_answer,
    given,
)
from saga_orchestrator.tests.unit.fsm.decider.scenarios import (
    ASKED,
    MINUTE,
    TWO,
    all_done,
    all_undone,
)


def test_no_compensation_starts_while_an_action_is_out() -> None:
    case = all_done(given(TWO), "book").when(ASKED).then_calls()

    assert case.state.status == "compensating"
    case.when(TimerFired(), after=MINUTE).then_nothing_happened()


@pytest.mark.parametrize(
    ("outcome", "undone"),
    [
        (DONE, ("pay", "book")),
        (UNKNOWN, ("pay", "book")),
        (BUSY, ("pay", "book")),
        (REJECTED, ("book",)),
        (THROTTLED, ("book",)),
        (NOT_SENT, ("book",)),
    ],
)
def test_the_awaited_answer_is_the_last_and_decides_what_is_undone(
    outcome: CallOutcome, undone: tuple[str, ...]
) -> None:
    case = all_done(given(TWO), "book").when(ASKED).when(action_answer("pay", outcome))

    case.then_calls(f"undo {undone[0]}#1")
    all_undone(case, *undone).then_status("compensated")


@pytest.mark.parametrize("outcome", [UNKNOWN, BUSY, NOT_SENT, THROTTLED])
def test_a_step_that_waits_for_its_next_try_is_not_tried_again(outcome: CallOutcome) -> None:
    case = given(TWO).when(action_answer("book", outcome)).when(ASKED)

    settled = StepUnknown if outcome.may_have_happened else StepNotSent
    assert case.events[1] == settled(step="book", attempt=1, error=outcome.reason)
    assert [call.direction for call in case.calls] == ["compensation"] * outcome.may_have_happened
