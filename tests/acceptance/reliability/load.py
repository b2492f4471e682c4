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
from saga_orchestrator.tests.acceptance.house import AT_ONCE, CONFIRM, CREATE, PAY, House
from saga_orchestrator.tests.acceptance.waiting import until

CLIENTS = 4
BETWEEN_ORDERS_SECONDS = 0.05
EFFECTS = {CREATE: 1, PAY: 1, CONFIRM: 1}


class Load:
    def __init__(self, house: House, doors: Sequence[httpx.Client] = ()) -> None:
        """With `doors`, who gets no answer from one goes to the next; else there must be one."""
        self.house = house
        self._doors = cycle(doors or [house.web])
        self._passed_over = (httpx.TransportError,) if doors else ()
        self.confirmed: list[str] = []  # sagas
        self._stopped = threading.Event()

    @contextmanager
    def running(self) -> Iterator[Load]:
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
        until(lambda: len(self.confirmed) >= enough, f"{more} more orders are confirmed")

    def await_refusal(self) -> None:
        """Of one more order. Those that were under way may wait for longer."""
        until(lambda: not self._orders(self.house.order()), "an order is refused")

    def _keep_ordering(self) -> None:
        while not self._stopped.is_set():
            entity_id = self.house.order()
            while not self._orders(entity_id):
                if self._stopped.wait(BETWEEN_ORDERS_SECONDS):
                    return
            self._stopped.wait(BETWEEN_ORDERS_SECONDS)

    def _orders(self, entity_id: int) -> bool:
        """Whether it was confirmed."""
        try:
            answer = self.house.start(entity_id, AT_ONCE, next(self._doors))
        except self._passed_over:
            return False
        if answer.is_success:
            self.confirmed.append(answer.json()["saga_id"])
        else:
            assert_not_now(answer)
        return answer.is_success


def assert_not_now(answer: httpx.Response) -> None:
    """A refusal that tells the client to come back."""
    told = (answer.status_code, answer.headers["content-type"], answer.json().get("retryable"))
    assert told == (503, "application/problem+json", True), answer.text


def assert_whole(house: House, sagas: list[str]) -> None:
    """All of them are there and complete, every effect happened once, and the log is sound."""
    assert sagas, "something was confirmed"
    for saga_id in sagas:
        until(lambda one=saga_id: completed(house, one), f"{saga_id} completes")  # type: ignore[misc]
    done = effects(house)
    assert {one: done.get(one) for one in sagas} == dict.fromkeys(sagas, EFFECTS)
    audit = house.web.get("/audit/verify").json()
    assert audit["valid"] is True, audit


def completed(house: House, saga_id: str) -> bool:
    answer = house.web.get(f"/sagas/{saga_id}/status")
    if answer.status_code == httpx.codes.SERVICE_UNAVAILABLE:
        return False
    assert answer.status_code == httpx.codes.OK, answer.text
    assert answer.json()["status"] in ("running", "completed"), answer.text
    return bool(answer.json()["status"] == "completed")


def effects(house: House) -> dict[str, Counter[str]]:
    """By saga, how often each call did something."""
    done: dict[str, Counter[str]] = {}
    for participant in (house.orders, house.payments):
        for one in participant.get("/calls").json()["calls"]:
            if not one["replayed"]:
                call = one["key"].partition("/")[2]
                done.setdefault(one["saga_id"], Counter())[call] += 1
    return done
