"""Clients that keep ordering during a test, and the orders that were confirmed.

Each behaves as the README advises: an order has a key, and is sent again after a 503.
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
    def __init__(self, deployment: Deployment, apis: Sequence[httpx.Client] = ()) -> None:
        """With `apis`, a client without a response goes to the next one; else it must get one."""
        self.deployment = deployment
        self._apis = cycle(apis or [deployment.api])
        self._passed_over = (httpx.TransportError,) if apis else ()
        self.confirmed: list[str] = []  # ids of sagas
        self._stopped = threading.Event()

    @contextmanager
    def running(self) -> Iterator[ClientLoad]:
        with ThreadPoolExecutor(CLIENTS) as clients:
            working = [clients.submit(self._keep_ordering) for _ in range(CLIENTS)]
            try:
                yield self
            finally:
                self._stopped.set()
        for client in working:
            client.result()

    def await_confirmed(self, more: int = 8) -> None:
        enough = len(self.confirmed) + more
        wait_until(lambda: len(self.confirmed) >= enough, f"{more} more orders are confirmed")

    def await_refusal(self) -> None:
        """Wait until a new order is refused; orders in progress may wait for longer."""
        wait_until(lambda: not self._orders(self.deployment.new_order()), "an order is refused")

    def _keep_ordering(self) -> None:
        while not self._stopped.is_set():
            entity_id = self.deployment.new_order()
            while not self._orders(entity_id):
                if self._stopped.wait(BETWEEN_ORDERS_SECONDS):
                    return
            self._stopped.wait(BETWEEN_ORDERS_SECONDS)

    def _orders(self, entity_id: int) -> bool:
        """Send an order; return True if it was confirmed."""
        try:
            answer = self.deployment.start(entity_id, PREFER_ASYNC, next(self._apis))
        except self._passed_over:
            return False
        if answer.is_success:
            self.confirmed.append(answer.json()["saga_id"])
        else:
            assert_retryable_503(answer)
        return answer.is_success


def assert_retryable_503(answer: httpx.Response) -> None:
    """Assert that a response is a retryable problem."""
    refusal = (answer.status_code, answer.headers["content-type"], answer.json().get("retryable"))
    assert refusal == (503, "application/problem+json", True), answer.text


def assert_all_completed_once(deployment: Deployment, sagas: list[str]) -> None:
    """Assert that all sagas complete, each effect happened once, and the chain of the log holds."""
    assert sagas, "something was confirmed"
    for saga_id in sagas:
        wait_until(lambda saga_id=saga_id: completed(deployment, saga_id), f"{saga_id} completes")  # type: ignore[misc]
    done = effects(deployment)
    assert {saga_id: done.get(saga_id) for saga_id in sagas} == dict.fromkeys(sagas, EFFECTS)
    audit = deployment.api.get("/audit/verify").json()
    assert audit["valid"] is True, audit


def completed(deployment: Deployment, saga_id: str) -> bool:
    answer = deployment.api.get(f"/sagas/{saga_id}/status")
    if answer.status_code == httpx.codes.SERVICE_UNAVAILABLE:
        return False
    assert answer.status_code == httpx.codes.OK, answer.text
    assert answer.json()["status"] in ("running", "completed"), answer.text
    return bool(answer.json()["status"] == "completed")


def effects(deployment: Deployment) -> dict[str, Counter[str]]:
    """Return, by saga, how often each call took effect."""
    done: dict[str, Counter[str]] = {}
    for participant in (deployment.orders, deployment.payments):
        for call in participant.get("/calls").json()["calls"]:
            if not call["replayed"]:
                name = call["key"].partition("/")[2]
                done.setdefault(call["saga_id"], Counter())[name] += 1
    return done
