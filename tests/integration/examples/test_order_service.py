"""order-service, from outside."""

from __future__ import annotations

import signal
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import quote

import httpx

from tests.integration.examples.running_participant import (
    CONFIRM,
    CREATE,
    ORDER,
    RunningParticipant,
    called_by,
    undoing,
)

Order = dict[str, object]


def placed(orders: RunningParticipant, saga: str = "s1") -> Order:
    reply = orders.post("/orders", ORDER, headers=called_by(CREATE, saga=saga))
    assert reply.status_code == 201, reply.text
    body: Order = reply.json()
    return body


def statuses(orders: RunningParticipant) -> list[str]:
    return [each["status"] for each in orders.web.get("/orders").json()["orders"]]


def test_an_order_starts_as_pending_payment(orders: RunningParticipant) -> None:
    order = placed(orders)

    assert order == ORDER | {"order_id": 1, "status": "PENDING_PAYMENT", "saga_id": "s1"}
    assert orders.web.get("/orders/1").json() == order
    assert orders.web.get("/orders").json() == {"orders": [order]}


def test_an_order_is_confirmed_and_cancelled(orders: RunningParticipant) -> None:
    placed(orders)

    confirmed = orders.post("/orders/1/confirm", {"order_id": 1}, headers=called_by(CONFIRM))
    cancelled = orders.post("/orders/1/compensate", headers=undoing(CREATE))
    again = orders.post("/orders/1/compensate")

    assert [reply.status_code for reply in (confirmed, cancelled, again)] == [200, 200, 200]
    assert confirmed.json()["status"] == "CONFIRMED"
    assert cancelled.json()["status"] == again.json()["status"] == "CANCELLED"


def test_a_cancelled_order_cannot_be_confirmed(orders: RunningParticipant) -> None:
    placed(orders)
    orders.post("/orders/1/compensate", headers=undoing(CREATE))

    reply = orders.post("/orders/1/confirm", {"order_id": 1}, headers=called_by(CONFIRM))

    assert (reply.status_code, reply.json()) == (409, {"detail": "order 1 is cancelled"})
    assert statuses(orders) == ["CANCELLED"]


def test_the_same_call_has_one_effect_and_one_answer(orders: RunningParticipant) -> None:
    def call(_: int) -> httpx.Response:
        return orders.post("/orders", ORDER, headers=called_by(CREATE))

    with ThreadPoolExecutor(20) as callers:
        replies = list(callers.map(call, range(20)))

    assert {(reply.status_code, reply.text) for reply in replies} == {(201, replies[0].text)}
    assert Counter(reply.headers.get("idempotency-replayed") for reply in replies) == {
        None: 1,
        "true": 19,
    }
    assert statuses(orders) == ["PENDING_PAYMENT"]


def test_a_key_is_for_one_request(orders: RunningParticipant) -> None:
    placed(orders)

    other_body = orders.post("/orders", ORDER | {"customer_id": 9}, headers=called_by(CREATE))
    other_path = orders.post("/orders/1/confirm", ORDER, headers=called_by(CREATE))

    assert other_body.status_code == other_path.status_code == 422
    assert statuses(orders) == ["PENDING_PAYMENT"]


def test_a_call_without_a_key_is_done_each_time(orders: RunningParticipant) -> None:
    for _ in range(2):
        orders.post("/orders", ORDER)

    assert statuses(orders) == ["PENDING_PAYMENT", "PENDING_PAYMENT"]


def test_a_kill_loses_nothing_that_was_answered(orders: RunningParticipant) -> None:
    answered = [placed(orders, saga=f"s{number}") for number in range(5)]
    orders.post("/orders/5/compensate", headers=undoing(CREATE, saga="s4"))
    orders.end(signal.SIGKILL)
    orders.start()

    repeated = [placed(orders, saga=f"s{number}") for number in range(5)]
    hanging_headers = called_by(CREATE, saga="s4") | {"Idempotency-Key": "another"}
    hanging = orders.post("/orders", ORDER, headers=hanging_headers)

    assert repeated == answered
    assert hanging.status_code == 409
    assert statuses(orders) == ["CANCELLED", *["PENDING_PAYMENT"] * 4]


def test_an_action_after_its_empty_compensation_is_refused(orders: RunningParticipant) -> None:
    compensated = orders.post("/orders/1/compensate", headers=undoing(CREATE))
    reply = orders.post("/orders", ORDER, headers=called_by(CREATE))

    assert compensated.status_code == 404
    assert reply.status_code == 409
    assert reply.json() == {"detail": "s1/create_order/action was compensated before it arrived"}
    assert statuses(orders) == []


def test_an_action_is_known_by_saga_and_step_under_any_key(orders: RunningParticipant) -> None:
    orders.post("/orders/1/compensate", headers=undoing(CREATE))

    reply = orders.post(
        "/orders", ORDER, headers=called_by(CREATE) | {"Idempotency-Key": "another"}
    )

    assert reply.status_code == 409


def test_another_saga_is_not_refused(orders: RunningParticipant) -> None:
    orders.post("/orders/1/compensate", headers=undoing(CREATE))

    placed(orders, saga="s2")

    assert statuses(orders) == ["PENDING_PAYMENT"]


def test_an_order_is_cancelled_by_the_key_that_made_it(orders: RunningParticipant) -> None:
    placed(orders)

    reply = orders.post("/orders/s1%2Fcreate_order%2Faction/compensate", {})

    assert (reply.status_code, reply.json()["status"]) == (200, "CANCELLED")
    assert statuses(orders) == ["CANCELLED"]


def test_a_key_that_was_cancelled_never_makes_an_order(orders: RunningParticipant) -> None:
    key = "s1/create_order/action"

    reply = orders.post(f"/orders/{quote(key, safe='')}/compensate", {})
    late = orders.post("/orders", ORDER, headers={"Idempotency-Key": key})

    assert (reply.status_code, reply.json()["status"]) == (200, "NOTHING_TO_CANCEL")
    assert late.status_code == 409
    assert statuses(orders) == []


def test_a_confirmation_of_another_order_is_refused(orders: RunningParticipant) -> None:
    placed(orders)

    reply = orders.post("/orders/1/confirm", {"order_id": 2}, headers=called_by(CONFIRM))

    assert reply.status_code == 422
    assert statuses(orders) == ["PENDING_PAYMENT"]


def test_received_calls_are_listed(orders: RunningParticipant) -> None:
    for _ in range(2):
        placed(orders)
    orders.post("/orders/9/compensate")

    called = {
        "method": "POST",
        "path": "/orders",
        "key": "s1/create_order/action",
        "saga_id": "s1",
        "step": "create_order",
        "attempt": 1,
        "status": 201,
        "replayed": False,
    }
    by_hand = dict.fromkeys(called) | {"method": "POST", "path": "/orders/9/compensate"}
    assert orders.web.get("/calls").json() == {
        "calls": [
            called,
            called | {"replayed": True},
            by_hand | {"status": 404, "replayed": False},
        ]
    }


def test_orders_are_listed_by_saga(orders: RunningParticipant) -> None:
    for saga in ("s1", "s2"):
        placed(orders, saga=saga)

    listed = orders.web.get("/orders", params={"saga_id": "s2"}).json()["orders"]

    assert [each["order_id"] for each in listed] == [2]
