"""Every example completes, and each of its effects happens once."""

from __future__ import annotations

import pytest
from saga_orchestrator.tests.acceptance.examples.demo_participant import Behavior
from saga_orchestrator.tests.acceptance.examples.example_deployment import ExampleDeployment
from saga_orchestrator.tests.acceptance.examples.example_sagas import (
    EXAMPLE_SAGAS,
    ExampleSaga,
    example_saga,
    ignoring_concurrent_order,
)

MODEST = {"items": ["book"], "value": 20, "country": "NL"}


@pytest.mark.parametrize("played", EXAMPLE_SAGAS, ids=str)
def test_each_effect_happens_once_and_in_order(
    stage: ExampleDeployment, played: ExampleSaga
) -> None:
    end = stage.play(played)

    effects = stage.effects()
    expected = [*played.steps, *played.after_pivot]
    assert (end["status"], end["error"]) == ("completed", None)
    assert ignoring_concurrent_order(effects) == ignoring_concurrent_order(expected)
    assert sorted(effects) == sorted(expected)


@pytest.mark.parametrize(
    ("played", "step"),
    [(saga, step) for saga in EXAMPLE_SAGAS for step in (*saga.steps, *saga.after_pivot)],
    ids=str,
)
def test_lost_reply_does_not_change_the_effects(
    stage: ExampleDeployment, played: ExampleSaga, step: str
) -> None:
    stage.set_behavior(step, Behavior.LOSE_REPLY, times=1)

    end = stage.play(played)

    assert end["status"] == "completed"
    assert sorted(stage.effects()) == sorted([*played.steps, *played.after_pivot])


def test_steps_whose_condition_does_not_hold_are_skipped(stage: ExampleDeployment) -> None:
    end = stage.run("shipment", MODEST)

    skipped = [step["name"] for step in end["steps"] if step["status"] == "skipped"]
    assert (end["status"], skipped) == ("completed", ["insure", "declare"])
    assert stage.effects() == ["pack", "hand_over"]


def test_subscription_is_tried_before_it_is_paid(stage: ExampleDeployment) -> None:
    end = stage.play(example_saga("subscription"))

    statuses = {step["name"]: step["status"] for step in end["steps"]}
    assert statuses["trial"] == "succeeded"
    events = [(event["type"], event["data"].get("step")) for event in stage.events(end["saga_id"])]
    waited = events.index(("WaitStarted", "trial"))
    assert waited < events.index(("StepCalled", "charge_first_month"))


def test_payout_is_polled_until_it_is_settled(stage: ExampleDeployment) -> None:
    stage.set_behavior("clear", Behavior.SAY_ONGOING, direction="status", times=2)

    end = stage.play(example_saga("payout"))

    assert end["status"] == "completed"
    assert len(stage.calls("clear")) == 1
    assert len(stage.calls("clear", "status")) == 3


def test_ongoing_dtm_branch_is_called_again(stage: ExampleDeployment) -> None:
    stage.set_behavior("trans_in", Behavior.SAY_ONGOING, times=1)

    end = stage.play(example_saga("dtm_transfer"))

    assert end["status"] == "completed"
    assert [call["attempt"] for call in stage.calls("trans_in")] == [1, 1]
    assert stage.effects() == ["trans_out", "trans_in"]
