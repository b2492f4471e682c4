"""R7, R8, and terminal states absorb."""

from __future__ import annotations

import pytest
from saga_orchestrator.fsm.events import (
    CallbackDelivered,
)
from saga_orchestrator.fsm.happening import CallbackTold, TimePassed
from saga_orchestrator.fsm.outcome import OutputLoss
from saga_orchestrator.fsm.testing import (
    DONE,
    REJECTED,
    UNKNOWN,
    Case,
    answered,
    done_without_output,
    given,
    undo_answered,
)
from saga_orchestrator.tests.unit.fsm.decide.cases import MINUTE, TWO, all_done

ENDS = (
    all_done(given(TWO), "book", "pay"),
    given(TWO).when(answered("book", REJECTED)),
    given(TWO).when(answered("book", done_without_output(OutputLoss.TOO_LARGE))),
)


@pytest.mark.parametrize("end", ENDS, ids=lambda end: str(end.state.status))
def test_nothing_happens_any_more(end: Case) -> None:
    for happening in (answered("book", UNKNOWN), undo_answered("pay", DONE), TimePassed()):
        end.when(happening, after=MINUTE).then().then_calls()


def test_that_a_callback_was_told_is_recorded_and_changes_nothing_else() -> None:
    end = ENDS[0]
    version = end.state.version

    case = end.when(CallbackTold(rested_version=version))

    case.then(CallbackDelivered(rested_version=version)).then_calls().then_status("completed")
    assert (case.state.rested_version, case.state.told_version) == (version, version)
