"""`skip`: an operator leaves a pending step out."""

from __future__ import annotations

import pytest
from saga_orchestrator.fsm.errors import NotAllowed, StepNotFound
from saga_orchestrator.fsm.events import SagaParked, StepSkipped, StepSucceeded
from saga_orchestrator.fsm.inputs import Pause, Resume, SkipStep, TimerFired
from saga_orchestrator.fsm.testing import (
    DONE,
    NOON,
    REJECTED,
    action_answer,
    compensation_answer,
    define,
    given,
)
from saga_orchestrator.tests.unit.fsm.decider.scenarios import ASKED, MINUTE, THREE, TWO, all_done


def skip(step: str) -> SkipStep:
    return SkipStep(step=step, actor="anna", reason="by telephone")


def skipped(step: str) -> StepSkipped:
    return StepSkipped(step=step, actor="anna", reason="by telephone")


def test_pending_step_is_skipped_with_actor_and_reason() -> None:
    case = given(THREE).when(skip("pay")).then(skipped("pay")).then_calls()

    all_done(case, "book").then_calls("ship#1").then_status("running", pay="skipped")


def test_a_step_after_a_skipped_one_waits_for_what_came_before_that() -> None:
    case = given(THREE).when(skip("pay")).then_calls().then_status("running", ship="pending")

    case.when(TimerFired(), after=MINUTE).then_nothing_happened()
    all_done(case, "book").then_calls("ship#1")


def test_a_skipped_branch_lets_the_join_go_on_when_its_fork_is_done() -> None:
    definition = define("book", "hotel after=book", "car after=book", "mail after=hotel,car")
    case = given(definition).when(skip("hotel")).when(skip("car")).then_calls()

    all_done(case, "book").then_calls("mail#1")


def test_the_last_step_can_be_skipped() -> None:
    case = given(TWO).when(skip("pay"))

    all_done(case, "book").then_status("completed", pay="skipped")


def test_a_skip_before_the_start_holds() -> None:
    case = given(TWO, start_at=NOON + MINUTE).when(skip("book")).then(skipped("book"))

    case.when(TimerFired(), after=MINUTE).then_calls("pay#1")


def test_a_skip_in_a_pause_sends_nothing() -> None:
    case = given(THREE).when(skip("pay")).when(Pause()).when(action_answer("book", DONE))
    case = case.when(skip("ship")).then(skipped("ship")).then_status("running")

    case.when(Resume()).then_status("completed")


def test_a_skipped_step_is_not_undone() -> None:
    case = given(THREE).when(skip("pay"))

    all_done(case, "book").when(action_answer("ship", REJECTED)).then_calls("undo book#1")


@pytest.mark.parametrize("step", ["book", "pay"])
def test_only_a_pending_step_can_be_skipped(step: str) -> None:
    said = {"book": "is done", "pay": "is being called"}[step]

    all_done(given(THREE), "book").when(skip(step)).then_refused(
        NotAllowed, f"{step} {said}, and only a pending step is skipped"
    )


def test_a_step_that_does_not_exist_cannot_be_skipped() -> None:
    given(TWO).when(skip("nobody")).then_refused(StepNotFound)


def test_compensating_saga_refuses_skip() -> None:
    back = "it is compensating, and no step of it can be skipped any more"
    case = given(THREE).when(ASKED).then_status("compensating", ship="pending")
    case.when(skip("ship")).then_refused(NotAllowed, back)

    parked = all_done(given(THREE), "book").when(action_answer("pay", REJECTED))
    parked = parked.when(compensation_answer("book", REJECTED)).then_status(
        "parked", ship="pending"
    )
    parked.when(skip("ship")).then_refused(NotAllowed, back)


def test_skip_of_an_ended_saga_or_without_a_pending_step_is_refused() -> None:
    over = (
        given(THREE)
        .when(action_answer("book", REJECTED))
        .then_status("compensated", ship="pending")
    )

    over.when(skip("ship")).then_refused(NotAllowed, "it is compensated")
    all_done(given(TWO), "book").when(skip("book")).then_refused(NotAllowed, "no step of it")


def test_step_without_compensation_parks_when_the_pivot_was_skipped() -> None:
    """I3: without its pivot the saga goes back over a step that has no compensation."""
    definition = define("book", "pay pivot", "ship", "mail attempts=1")
    case = given(definition).when(skip("pay"))
    case = (
        all_done(case, "book", "ship")
        .when(action_answer("mail", REJECTED))
        .then_calls("undo book#1")
    )

    case = case.when(compensation_answer("book", DONE)).then_status("parked", ship="succeeded")
    assert case.events[-1] == SagaParked(reason="no compensation for ship", not_undone=("ship",))


def test_step_parks_when_the_step_that_would_undo_it_was_skipped() -> None:
    definition = define("book", "confirm undone_by=book", "pay")
    case = given(definition, start_at=NOON + MINUTE).when(skip("book"))
    case = all_done(case.when(TimerFired(), after=MINUTE), "confirm")
    case.then(StepSucceeded(step="confirm", attempt=1), *case.events[1:]).then_calls("pay#1")

    case = case.when(action_answer("pay", REJECTED))
    assert case.events[-1] == SagaParked(
        reason="no compensation for confirm", not_undone=("confirm",)
    )
