"""What order-service refuses without an effect: its orders stay none."""

from __future__ import annotations

import pytest

from tests.integration.examples.running_participant import (
    CREATE,
    ORDER,
    Json,
    RunningParticipant,
    called_by,
)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"total_amount": "NaN"}, "total_amount"),
        ({"total_amount": 0}, "total_amount"),
        ({"total_amount": 0.001}, "total_amount"),
        ({"customer_id": 2**70}, "customer_id"),
        ({"delivery_latitude": 91}, "delivery_latitude"),
        ({"items": []}, "items"),
        ({"items": [{"menu_item_id": 1, "quantity": 0, "price": 1}]}, "items.0.quantity"),
    ],
)
def test_a_wrong_body_is_refused_by_name(
    no_orders: RunningParticipant, wrong: Json, said: str
) -> None:
    reply = no_orders.post("/orders", {**ORDER, **wrong}, headers=called_by(CREATE))

    assert reply.status_code == 422
    assert said in reply.json()["detail"]
    assert no_orders.web.get("/orders").json() == {"orders": []}


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"customer_id": NaN}', b'"\\ud800"', b"\xff"])
def test_a_body_that_is_no_order_is_refused(no_orders: RunningParticipant, body: bytes) -> None:
    reply = no_orders.web.post("/orders", content=body, headers=called_by(CREATE))

    assert reply.status_code == 422


def test_a_body_that_is_too_large_is_refused(no_orders: RunningParticipant) -> None:
    reply = no_orders.web.post("/orders", content=b"x" * (1024 * 1024 + 1))

    assert reply.status_code == 413


@pytest.mark.parametrize("order_id", [99, 2**63, 10**40])
def test_an_order_that_does_not_exist_is_not_found(
    no_orders: RunningParticipant, order_id: int
) -> None:
    replies = [
        no_orders.web.get(f"/orders/{order_id}"),
        no_orders.post(f"/orders/{order_id}/confirm"),
        no_orders.post(f"/orders/{order_id}/compensate"),
    ]

    assert [reply.status_code for reply in replies] == [404, 404, 404]
    assert all("detail" in reply.json() for reply in replies)


def test_order_service_is_healthy(no_orders: RunningParticipant) -> None:
    reply = no_orders.web.get("/health")

    assert (reply.status_code, reply.json()["status"]) == (200, "pass")
