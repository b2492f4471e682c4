"""What a refusal of each single step leaves behind."""

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


def undone(steps: list[str]) -> list[str]:
    """What was done, and then undone from its end."""
    return [*steps, *(f"undo {step}" for step in reversed(steps))]


@pytest.mark.parametrize(
    ("played", "step"), [(saga, step) for saga in EXAMPLE_SAGAS for step in saga.steps], ids=str
)
def test_steps_before_the_pivot_are_compensated_in_reverse(
    stage: ExampleDeployment, played: ExampleSaga, step: str
) -> None:
    stage.set_behavior(step, Behavior.REJECT)

    end = stage.play(played)

    effects, expected = stage.effects(), undone(played.effects_without(step))
    assert (end["status"], end["parked"]) == ("compensated", None)
    assert f"409 {step} is not possible" in end["error"]
    assert ignoring_concurrent_order(effects) == ignoring_concurrent_order(expected)
    assert sorted(effects) == sorted(expected)


@pytest.mark.parametrize(
    ("played", "step"),
    [(saga, step) for saga in EXAMPLE_SAGAS for step in saga.after_pivot],
    ids=str,
)
def test_saga_past_its_pivot_parks_and_goes_on_after_a_retry(
    stage: ExampleDeployment, played: ExampleSaga, step: str
) -> None:
    stage.set_behavior(step, Behavior.REJECT, times=1)

    parked = stage.play(played)
    stage.post_json(f"/sagas/{parked['saga_id']}/retry")

    at = played.after_pivot.index(step)
    assert (parked["status"], parked["parked"]["not_undone"]) == ("parked", [])
    assert parked["parked"]["not_done"] == list(played.after_pivot[at:])
    assert stage.await_rest(parked["saga_id"])["status"] == "completed"
    assert stage.effects() == [*played.steps, *played.after_pivot]


def test_payout_that_is_not_settled_is_a_rejection(stage: ExampleDeployment) -> None:
    stage.set_behavior("clear", Behavior.REJECT, direction="status")

    end = stage.play(example_saga("payout"))

    assert end["status"] == "compensated"
    assert stage.effects() == ["reserve_funds", "undo reserve_funds"]


@pytest.mark.parametrize("step", ["trans_out", "trans_in"])
def test_failed_dtm_branch_is_compensated_itself(stage: ExampleDeployment, step: str) -> None:
    stage.set_behavior(step, Behavior.SAY_FAILURE)
    played = example_saga("dtm_transfer")

    end = stage.play(played)

    assert end["status"] == "compensated"
    assert stage.effects() == undone(played.effects_without(step))
    assert len(stage.calls(step, "compensation")) == 1


def test_resolved_compensation_of_a_gift_card_refunds_the_buyer(stage: ExampleDeployment) -> None:
    stage.set_behavior("send_card", Behavior.REJECT)
    stage.set_behavior("issue_card", Behavior.REJECT, direction="compensation")
    saga_id = stage.play(example_saga("gift_card"))["saga_id"]

    said = {"outcome": "undone", "evidence": "the shop took it back, ticket 4711"}
    stage.post_json(f"/sagas/{saga_id}/steps/issue_card/resolve", said)

    assert stage.await_rest(saga_id)["status"] == "compensated"
    assert stage.effects() == ["charge_buyer", "issue_card", "undo charge_buyer"]
