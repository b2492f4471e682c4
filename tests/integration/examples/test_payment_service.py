"""payment-service, from outside."""

from __future__ import annotations

import signal
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from urllib.parse import quote

import httpx

from tests.integration.examples.running_participant import (
    PAY,
    PAYMENT,
    Json,
    RunningParticipant,
    called_by,
    undoing,
)

KEY = "s1/process_payment/action"
DECLINED = (402, {"detail": "card declined"})


def pay(payments: RunningParticipant, saga: str = "s1") -> httpx.Response:
    return payments.post("/payments", PAYMENT, headers=called_by(PAY, saga=saga))


def decline(payments: RunningParticipant, *, declined: bool) -> None:
    reply = payments.web.put("/decline", json={"declined": declined})
    assert (reply.status_code, reply.json()) == (200, {"declined": declined})


def statuses(payments: RunningParticipant) -> list[str]:
    return [each["status"] for each in payments.web.get("/payments").json()["payments"]]


def answer(reply: httpx.Response) -> tuple[int, object]:
    return reply.status_code, reply.json()


def test_a_payment_is_taken(payments: RunningParticipant) -> None:
    reply = pay(payments)

    taken = PAYMENT | {"payment_id": 1, "status": "PAID", "saga_id": "s1"}
    assert answer(reply) == (201, taken)
    assert payments.web.get("/payments/1").json() == taken
    assert payments.web.get("/payments").json() == {"payments": [taken]}


def test_a_payment_is_refunded_once(payments: RunningParticipant) -> None:
    pay(payments)

    first = payments.post("/payments/1/compensate", headers=undoing(PAY))
    repeated = payments.post("/payments/1/compensate", headers=undoing(PAY))
    by_hand = payments.post("/payments/1/compensate")

    assert [each.status_code for each in (first, repeated, by_hand)] == [200, 200, 200]
    assert first.json() == repeated.json() == by_hand.json()
    assert statuses(payments) == ["REFUNDED"]


def test_calls_of_many_sagas_at_once_take_one_payment_each(payments: RunningParticipant) -> None:
    sagas = [f"s{number % 10}" for number in range(40)]

    with ThreadPoolExecutor(20) as callers:
        replies = list(callers.map(lambda saga: pay(payments, saga), sagas))

    assert {reply.status_code for reply in replies} == {201}
    assert statuses(payments) == ["PAID"] * 10


def test_a_payment_and_its_undoing_at_once_leave_nothing_paid(payments: RunningParticipant) -> None:
    def play(number: int) -> None:
        saga = f"s{number // 2}"
        if number % 2:
            pay(payments, saga)
        else:
            key = quote(f"{saga}/process_payment/action", safe="")
            payments.post(f"/payments/{key}/compensate", {}, headers=undoing(PAY, saga=saga))

    with ThreadPoolExecutor(20) as callers:
        list(callers.map(play, range(60)))

    assert "PAID" not in statuses(payments)


def test_a_declined_card_pays_nothing(payments: RunningParticipant) -> None:
    decline(payments, declined=True)

    reply = pay(payments)

    assert answer(reply) == DECLINED
    assert statuses(payments) == []


def test_a_decline_is_the_answer_to_its_key_for_ever(payments: RunningParticipant) -> None:
    decline(payments, declined=True)
    pay(payments)
    decline(payments, declined=False)

    repeated, other = pay(payments), pay(payments, saga="s2")

    assert answer(repeated) == DECLINED
    assert other.status_code == 201


def test_the_switch_survives_a_kill(payments: RunningParticipant) -> None:
    decline(payments, declined=True)
    payments.end(signal.SIGKILL)
    payments.start()

    assert payments.web.get("/decline").json() == {"declined": True}
    assert answer(pay(payments)) == DECLINED


def test_payment_service_can_be_started_declining(payments: RunningParticipant) -> None:
    payments.end()
    payments.start("--decline")

    assert answer(pay(payments)) == DECLINED


def test_a_wrong_switch_is_refused(payments: RunningParticipant) -> None:
    reply = payments.web.put("/decline", json={"declined": "maybe"})

    assert reply.status_code == 422
    assert payments.web.get("/decline").json() == {"declined": False}


def test_a_kill_amid_payments_loses_and_doubles_none(payments: RunningParticipant) -> None:
    sagas = [f"s{number}" for number in range(100)]
    answered: dict[str, object] = {}

    def pay_until_killed(saga: str) -> None:
        with suppress(httpx.TransportError):
            answered[saga] = answer(pay(payments, saga))
        if len(answered) >= 30:
            payments.process.kill()

    with ThreadPoolExecutor(8) as callers:
        list(callers.map(pay_until_killed, sagas))
    payments.end(signal.SIGKILL)
    payments.start()
    repeated = {saga: answer(pay(payments, saga)) for saga in sagas}

    assert 30 <= len(answered) < len(sagas)
    assert {saga: repeated[saga] for saga in answered} == answered
    assert statuses(payments) == ["PAID"] * len(sagas)


def test_a_payment_is_refunded_by_the_key_that_took_it(payments: RunningParticipant) -> None:
    pay(payments)

    reply = payments.post(f"/payments/{quote(KEY, safe='')}/compensate", {}, headers=undoing(PAY))

    assert (reply.status_code, reply.json()["status"]) == (200, "REFUNDED")
    assert statuses(payments) == ["REFUNDED"]


def test_a_key_that_was_refunded_never_takes_a_payment(payments: RunningParticipant) -> None:
    reply = payments.post(f"/payments/{quote(KEY, safe='')}/compensate", {})
    payments.end(signal.SIGKILL)
    payments.start()
    late = payments.post("/payments", PAYMENT, headers={"Idempotency-Key": KEY})

    assert answer(reply) == (200, {"status": "NOTHING_TO_REFUND", "key": KEY})
    assert late.status_code == 409
    assert statuses(payments) == []


def test_a_wrong_body_is_refused(payments: RunningParticipant) -> None:
    wrongs: list[Json] = [{"amount": -1}, {"amount": 1.005}, {"amount": None}, {"order_id": "x"}]

    replies = [payments.post("/payments", {**PAYMENT, **wrong}) for wrong in wrongs]

    assert [reply.status_code for reply in replies] == [422] * len(wrongs)
    assert statuses(payments) == []


def test_payments_are_listed_by_saga(payments: RunningParticipant) -> None:
    for saga in ("s1", "s2"):
        pay(payments, saga)

    listed = payments.web.get("/payments", params={"saga_id": "s2"}).json()["payments"]

    assert [each["payment_id"] for each in listed] == [2]
