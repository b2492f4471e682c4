"""A step whose condition does not hold is skipped."""

from __future__ import annotations

import pytest
from saga_orchestrator.fsm.events import StepCalled, StepSkipped, StepSucceeded
from saga_orchestrator.fsm.testing import (
    DONE,
    REJECTED,
    action_answer,
    compensation_answer,
    define,
    document,
    done,
    given,
)
from saga_orchestrator.tests.unit.fsm.decider.scenarios import mapped


def test_step_whose_condition_does_not_hold_is_skipped() -> None:
    definition = define("book", "seat when=seat", "pay")
    case = given(definition, input={"seat": False}).when(action_answer("book", DONE))

    case.then(
        StepSucceeded(step="book", attempt=1),
        StepSkipped(step="seat"),
        StepCalled(step="pay", attempt=1),
    )
    case.when(action_answer("pay", DONE)).then_status("completed", seat="skipped")


@pytest.mark.parametrize("nothing", [False, None, "", [], {}])
def test_step_is_skipped_when_its_condition_is_falsy(nothing: object) -> None:
    case = given(define("book when=seat"), input={"seat": nothing})  # type: ignore[dict-item]

    case.then_calls().then_status("completed", book="skipped")


@pytest.mark.parametrize("something", [True, 1, 0, "no", [0]])
def test_step_is_executed_when_its_condition_is_truthy(something: object) -> None:
    case = given(define("book when=seat"), input={"seat": something})  # type: ignore[dict-item]

    case.then_calls("book#1")


def test_a_skipped_step_is_not_undone() -> None:
    definition = define("book", "seat when=seat", "pay")
    case = given(definition, input={}).when(action_answer("book", DONE))

    case = case.when(action_answer("pay", REJECTED)).then_calls("undo book#1")
    case.when(compensation_answer("book", DONE)).then_status("compensated", seat="skipped")


def test_a_skipped_pivot_is_not_passed() -> None:
    definition = define("book", "pay pivot when=pay", "mail no_effect")
    case = given(definition, input={}).when(action_answer("book", DONE))

    case.when(action_answer("mail", REJECTED)).then_calls("undo book#1")


def test_condition_that_cannot_be_evaluated_parks() -> None:
    definition = mapped(dict(document("book", "pay")), 1, when="${steps.book.output.n > `1`}")
    case = given(definition).when(action_answer("book", done({"n": "many"})))

    case.then_calls().then_status("parked", book="succeeded", pay="pending")
    assert "the condition of pay cannot be evaluated" in str(case.state.error)
