"""Clients who keep ordering while things happen, and what they were told.

Each does what the README asks of it: an order has a key, and after a 503 it is sent again.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import cycle

import httpx
from saga_orchestrator.tests.acceptance.deployment import (
    CONFIRM,
    CREATE,
    PAY,
    PREFER_ASYNC,
    Deployment,
)
from saga_orchestrator.tests.support.waiting import wait_until

CLIENTS = 4
BETWEEN_ORDERS_SECONDS = 0.05
EFFECTS = {CREATE: 1, PAY: 1, CONFIRM: 1}


class ClientLoad:
    def __init__(self, house: Deployment, doors: Sequence[httpx.Client] = ()) -> None:
        """With `doors`, who gets no answer from one goes to the next; else there must be one."""
        self.deployment = house
        self._doors = cycle(doors or [house.api])
        self._passed_over = (httpx.TransportError,) if doors else ()
        self.confirmed: list[str] = []  # sagas
        self._stopped = threading.Event()

    @contextmanager
    def running(self) -> Iterator[ClientLoad]:
        with ThreadPoolExecutor(CLIENTS) as clients:
            working = [clients.submit(self._keep_ordering) for _ in range(CLIENTS)]
            try:
                yield self
            finally:
                self._stopped.set()
        for one in working:
            one.result()

    def await_confirmed(self, more: int = 8) -> None:
        enough = len(self.confirmed) + more
        wait_until(lambda: len(self.confirmed) >= enough, f"{more} more orders are confirmed")

    def await_refusal(self) -> None:
        """Of one more order. Those that were under way may wait for longer."""
        wait_until(lambda: not self._orders(self.deployment.new_order()), "an order is refused")

    def _keep_ordering(self) -> None:
        while not self._stopped.is_set():
            entity_id = self.deployment.new_order()
            while not self._orders(entity_id):
                if self._stopped.wait(BETWEEN_ORDERS_SECONDS):
                    return
            self._stopped.wait(BETWEEN_ORDERS_SECONDS)

    def _orders(self, entity_id: int) -> bool:
        """Whether it was confirmed."""
        try:
            answer = self.deployment.start(entity_id, PREFER_ASYNC, next(self._doors))
        except self._passed_over:
            return False
        if answer.is_success:
            self.confirmed.append(answer.json()["saga_id"])
        else:
            assert_retryable_503(answer)
        return answer.is_success


def assert_retryable_503(answer: httpx.Response) -> None:
    """A refusal that tells the client to come back."""
    told = (answer.status_code, answer.headers["content-type"], answer.json().get("retryable"))
    assert told == (503, "application/problem+json", True), answer.text


def assert_all_completed_once(house: Deployment, sagas: list[str]) -> None:
    """All of them are there and complete, every effect happened once, and the log is sound."""
    assert sagas, "something was confirmed"
    for saga_id in sagas:
        wait_until(lambda one=saga_id: completed(house, one), f"{saga_id} completes")  # type: ignore[misc]
    done = effects(house)
    assert {one: done.get(one) for one in sagas} == dict.fromkeys(sagas, EFFECTS)
    audit = house.api.get("/audit/verify").json()
    assert audit["valid"] is True, audit


def completed(house: Deployment, saga_id: str) -> bool:
    answer = house.api.get(f"/sagas/{saga_id}/status")
    if answer.status_code == httpx.codes.SERVICE_UNAVAILABLE:
        return False
    assert answer.status_code == httpx.codes.OK, answer.text
    assert answer.json()["status"] in ("running", "completed"), answer.text
    return bool(answer.json()["status"] == "completed")


def effects(house: Deployment) -> dict[str, Counter[str]]:
    """By saga, how often each call did something."""
    done: dict[str, Counter[str]] = {}
    for participant in (house.orders, house.payments):
        for one in participant.get("/calls").json()["calls"]:
            if not one["replayed"]:
                call = one["key"].partition("/")[2]
                done.setdefault(one["saga_id"], Counter())[call] += 1
    return done
