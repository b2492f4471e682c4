from __future__ import annotations

from dataclasses import replace

from saga_orchestrator.fsm.frozen import changed
from saga_orchestrator.fsm.machines import StepStatus
from saga_orchestrator.fsm.step_state import StepState


def test_a_changed_value_is_what_replace_would_make() -> None:
    before = StepState(attempts=2)

    after = changed(before, status=StepStatus.CALLING, attempts=3)

    assert after == replace(before, status=StepStatus.CALLING, attempts=3)
    assert before == StepState(attempts=2)
