"""A step stays done when its reply cannot be used."""

from __future__ import annotations

import pytest
from saga_orchestrator.fsm.call_outcome import CallOutcome, OutputLoss
from saga_orchestrator.fsm.events import SagaParked, StepSucceeded
from saga_orchestrator.fsm.testing import (
    DONE,
    REJECTED,
    action_answer,
    document,
    done,
    done_without_output,
    given,
)
from saga_orchestrator.tests.unit.fsm.decider.scenarios import ASKED, TWO, all_done, mapped

NEEDS = document("book", "pay")


@pytest.mark.parametrize("step", ["book", "pay"])
def test_a_reply_that_is_too_large_parks_after_done(step: str) -> None:
    case = all_done(given(TWO), *(["book"] if step == "pay" else []))
    case = case.when(action_answer(step, done_without_output(OutputLoss.TOO_LARGE, "too much")))

    not_done = () if step == "pay" else ("pay",)
    why = f"{step} is done, but too much"
    parked = SagaParked(reason=why, not_done=not_done, without_output=(step,))
    assert case.events[1:] == (parked,)
    assert case.step(step).status == "succeeded"


def test_reply_that_is_not_json_goes_on_if_no_step_needs_it() -> None:
    case = given(TWO).when(action_answer("book", done_without_output(OutputLoss.NOT_JSON)))

    case.then_calls("pay#1")


def test_a_reply_that_is_needed_and_not_there_parks_before_the_call() -> None:
    action = {"path": "/pay/${steps.book.output.id}"}
    definition = mapped(dict(NEEDS), 1, action=action)

    given(definition).when(action_answer("book", done_without_output(OutputLoss.NOT_JSON))).then(
        StepSucceeded(step="book", attempt=1, output_loss=OutputLoss.NOT_JSON, error="it is lost"),
        SagaParked(
            reason="the action of pay cannot be called: book has no output,"
            " which ${steps.book.output.id} needs; book is done, but it is lost",
            not_done=("pay",),
            without_output=("book",),
        ),
    )


@pytest.mark.parametrize(
    ("said", "why"),
    [
        (
            DONE,
            "its output cannot be made: the reply has no body, which ${response.body.id} needs",
        ),
        (
            done({"no": 1}),
            "its output cannot be made: the reply has no id, which ${response.body.id} needs",
        ),
        (done_without_output(OutputLoss.NOT_JSON, "it is not JSON"), "it is not JSON"),
    ],
)
def test_an_output_that_cannot_be_mapped_parks_after_done(said: CallOutcome, why: str) -> None:
    definition = mapped(dict(NEEDS), 0, output={"id": "${response.body.id}"})
    case = given(definition).when(action_answer("book", said))

    assert case.step("book").output_loss is OutputLoss.UNMAPPABLE
    case.then_calls().then_status("parked", book="succeeded", pay="pending")
    assert case.state.error == f"book is done, but {why}"


def test_a_mapped_output_is_what_others_read() -> None:
    definition = mapped(dict(NEEDS), 0, output={"id": "${response.body.order.id}"})
    case = given(definition).when(action_answer("book", done({"order": {"id": 7}, "more": 1})))

    assert case.then_calls("pay#1").step("book").output == {"id": 7}


@pytest.mark.parametrize(
    "poison", [f"sum([`{'9' * 400}`, `1`])", "to_number('nan')", "ceil(to_number('inf'))"]
)
def test_an_output_that_the_log_could_not_keep_parks_after_done(poison: str) -> None:
    output = {"id": f"${{response.body.id || {poison}}}"}
    case = given(mapped(dict(NEEDS), 0, output=output)).when(action_answer("book", DONE))

    case.then_status("parked", book="succeeded")


def test_a_compensation_that_cannot_be_made_parks_and_lists() -> None:
    compensation = {"path": "/undo/${steps.pay.output.id}"}
    definition = mapped(dict(NEEDS), 1, compensation=compensation)
    case = all_done(given(definition), "book", "pay").when(ASKED)

    assert case.events[1:] == (
        SagaParked(
            reason="the compensation of pay cannot be called: pay has no output,"
            " which ${steps.pay.output.id} needs",
            not_undone=("book", "pay"),
            without_output=("pay",),
        ),
    )


def test_a_rejected_step_that_asks_for_it_is_listed_too() -> None:
    compensation = {"path": "/undo/${steps.pay.output.id}"}
    definition = mapped(dict(NEEDS), 1, compensation=compensation, compensate_on_reject=True)
    case = all_done(given(definition), "book").when(action_answer("pay", REJECTED))

    assert isinstance(parked := case.events[-1], SagaParked)
    assert parked.not_undone == ("book", "pay")


def test_a_body_that_is_too_large_parks_before_the_call() -> None:
    definition = mapped(dict(NEEDS), 0, action={"path": "/book", "body": "${input}"})

    case = given(definition, input={"text": "x" * 1024 * 1024}).then_calls()

    assert "larger than" in str(case.state.error)
    case.then_status("parked", book="pending")
