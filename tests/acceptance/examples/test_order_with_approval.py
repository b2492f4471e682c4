"""An order that a person approves, with the real order-service and payment-service."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from saga_orchestrator.tests.acceptance.examples.example_deployment import ExampleDeployment, Json

ORDER: Mapping[str, Any] = {
    "customer_id": 1,
    "restaurant_id": 2,
    "total_amount": 50.00,
    "delivery_address": "123 Main St",
    "delivery_latitude": 40.7128,
    "delivery_longitude": -74.0060,
    "items": [{"menu_item_id": 1, "quantity": 2, "price": 25.00}],
}
PAYMENT = {"amount": 50.00, "payment_method": "credit_card"}
YES = {"by": "Grace"}


def test_approved_order_is_paid_and_confirmed(stage: ExampleDeployment) -> None:
    saga_id = waiting(stage)

    end = approve(stage, saga_id)

    assert end["status"] == "completed"
    assert holds(stage, saga_id) == (["CONFIRMED"], ["PAID"])
    approval = next(step for step in end["steps"] if step["name"] == "approval")
    assert (approval["status"], approval["output"]) == ("succeeded", YES)


def test_order_is_not_paid_before_its_approval(stage: ExampleDeployment) -> None:
    saga_id = waiting(stage)

    records = holds(stage, saga_id)

    stage.post_json(f"/sagas/{saga_id}/cancel")
    assert records == (["PENDING_PAYMENT"], [])


def test_rejected_order_waits_for_no_approval(stage: ExampleDeployment) -> None:
    end = stage.run("order_with_approval", {"order": {**ORDER, "items": []}, "payment": PAYMENT})

    assert end["status"] == "compensated"
    assert holds(stage, end["saga_id"]) == ([], [])


def test_denied_order_is_cancelled(stage: ExampleDeployment) -> None:
    saga_id = waiting(stage)

    stage.post_json(f"/sagas/{saga_id}/cancel", {"reason": "over budget"})

    assert stage.await_rest(saga_id)["status"] == "compensated"
    assert holds(stage, saga_id) == (["CANCELLED"], [])


def test_declined_card_cancels_the_order(stage: ExampleDeployment) -> None:
    stage.payments.put("/decline", json={"declined": True}).raise_for_status()
    saga_id = waiting(stage)

    end = approve(stage, saga_id)

    assert (end["status"], end["error"]) == (
        "compensated",
        "process_payment was rejected: 402 card declined",
    )
    assert holds(stage, saga_id) == (["CANCELLED"], [])


def test_order_that_cannot_be_confirmed_is_refunded(stage: ExampleDeployment) -> None:
    saga_id = waiting(stage)
    order_id = stage.status(saga_id)["steps"][0]["output"]["order_id"]
    by_hand = {"Idempotency-Key": f"{saga_id}/by_hand/compensation"}
    stage.orders.post(f"/orders/{order_id}/compensate", headers=by_hand).raise_for_status()

    end = approve(stage, saga_id)

    assert end["status"] == "compensated"
    assert holds(stage, saga_id) == (["CANCELLED"], ["REFUNDED"])
    assert stage.steps_of(saga_id, "CompensationSucceeded") == ["process_payment", "create_order"]


def waiting(stage: ExampleDeployment) -> str:
    """A saga that waits for its approval."""
    given = {"order": ORDER, "payment": PAYMENT}
    saga_id = str(stage.start("order_with_approval", given, wait=0)["saga_id"])
    stage.await_step(saga_id, "approval")
    return saga_id


def approve(stage: ExampleDeployment, saga_id: str) -> Json:
    stage.post_json(f"/sagas/{saga_id}/signals/approval", YES)
    return stage.await_rest(saga_id)


def holds(stage: ExampleDeployment, saga_id: str) -> tuple[list[str], list[str]]:
    """Return the statuses of the orders and of the payments of a saga."""
    orders = stage.orders.get("/orders").json()["orders"]
    payments = stage.payments.get("/payments").json()["payments"]
    ours = [
        [item["status"] for item in items if item["saga_id"] == saga_id]
        for items in (orders, payments)
    ]
    return ours[0], ours[1]
