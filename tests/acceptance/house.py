"""A whole house: the orchestrator and its database, the two participants, and a relay in between.

Clients here do what good clients do: each order has an idempotency key, and who got no answer asks
again with the same key.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import count
from typing import Any

import httpx
from saga_orchestrator.examples.scenes import order
from saga_orchestrator.tests.acceptance.database import Database
from saga_orchestrator.tests.acceptance.doctor import Examination, examine
from saga_orchestrator.tests.acceptance.program import Program, client, free_port
from saga_orchestrator.tests.acceptance.relay import Relay
from saga_orchestrator.tests.acceptance.waiting import until

CREATE, PAY, CONFIRM = "create_order/action", "process_payment/action", "confirm_order/action"
CANCEL = "create_order/compensation"
PATIENCE, AT_ONCE = "wait=30", "respond-async"

_entities = count(1000)


@dataclass(frozen=True, slots=True)
class Ending:
    """How a saga rests, for its client, for its log and at the participants; without its names."""

    status: str
    error: str | None
    events: int
    steps: tuple[tuple[str, str, int], ...]  # name, status, attempts
    parked: dict[str, Any] | None
    orders: tuple[str, ...]
    payments: tuple[str, ...]
    effects: tuple[tuple[str, int], ...]  # call, how often it did something


class House:
    def __init__(
        self, service: Program, database: Database, relay: Relay, orders: str, payments: str
    ) -> None:
        self.service, self.database, self.relay = service, database, relay
        self.orders, self.payments = client(orders), client(payments)
        self.web = client(service.url)
        self.answers: list[dict[str, Any]] = []
        self._clients = ThreadPoolExecutor(16, thread_name_prefix="client")

    def close(self) -> None:
        self._clients.shutdown()
        self.orders.close()
        self.payments.close()
        self.web.close()

    def order(self) -> int:
        """The number of a new order; nothing is sent."""
        return next(_entities)

    def start(
        self, entity_id: int, prefer: str = PATIENCE, web: httpx.Client | None = None
    ) -> httpx.Response:
        """At another node with `web`. Raises httpx.TransportError if there is no answer."""
        headers = {"Idempotency-Key": f"order-{entity_id}", "Prefer": prefer}
        answer = (web or self.web).post("/sagas/start", json=order(entity_id), headers=headers)
        if answer.is_success:
            self._write_down(f"order-{entity_id}", answer.json())
        return answer

    def _write_down(self, request: str, answer: dict[str, Any]) -> None:
        told = {name: answer[name] for name in ("saga_id", "status")}
        self.answers.append({"at": datetime.now(UTC).isoformat(), "request": request, **told})

    def start_soon(self, entity_id: int, prefer: str = AT_ONCE) -> Future[httpx.Response]:
        return self._clients.submit(self.start, entity_id, prefer)

    def start_all(self, entity_ids: Sequence[int]) -> None:
        """Returns when all of them are recorded."""
        for started in [self.start_soon(one) for one in entity_ids]:
            assert started.result().status_code == httpx.codes.ACCEPTED

    def saga_id(self, entity_id: int) -> str:
        return str(self.start(entity_id, AT_ONCE).json()["saga_id"])

    def status(self, saga_id: str) -> dict[str, Any]:
        status: dict[str, Any] = self.web.get(f"/sagas/{saga_id}/status").json()
        return status

    def ending(self, entity_id: int) -> Ending:
        saga_id = str(until(lambda: self.rested(entity_id), f"order {entity_id} rests"))
        status = self.status(saga_id)
        assert self.keys_are_right(saga_id), self.relay.calls_of(saga_id)
        return Ending(
            status=status["status"],
            error=status["error"],
            events=status["version"],
            steps=tuple((one["name"], one["status"], one["attempts"]) for one in status["steps"]),
            parked=None if status["parked"] is None else without(status["parked"], "since"),
            orders=self._held(self.orders, "orders", saga_id),
            payments=self._held(self.payments, "payments", saga_id),
            effects=tuple(sorted(self.effects(saga_id).items())),
        )

    def rested(self, entity_id: int) -> str | None:
        """The saga of that order, once it rests."""
        answer = self.start(entity_id)
        assert answer.is_success, answer.text
        return str(answer.json()["saga_id"]) if answer.status_code == httpx.codes.OK else None

    def effects(self, saga_id: str) -> Counter[str]:
        """How often each call was done and not just answered again."""
        return Counter(
            one["key"].partition("/")[2]
            for participant in (self.orders, self.payments)
            for one in participant.get("/calls").json()["calls"]
            if one["saga_id"] == saga_id and not one["replayed"]
        )

    def keys_are_right(self, saga_id: str) -> bool:
        """A key is a function of saga, step and direction, and an attempt that is sent again after
        a crash keeps its number."""
        calls = self.relay.calls_of(saga_id)
        return all((one.key, one.attempt) == (f"{saga_id}/{one.call}", "1") for one in calls)

    def asked(self, saga_id: str) -> Sequence[str]:
        """The calls in order, those that were sent again too."""
        return [one.call for one in self.relay.calls_of(saga_id)]

    def examination(self) -> Examination:
        """What the doctor finds; participants have told of all calls of our own sagas."""
        ours = self.database.sagas()
        calls = [one for one in self.relay.ledger if one["saga_id"] in ours]
        return examine(self.service.environ, self.service.log.parent, calls, list(self.answers))

    @contextmanager
    def heir(self, **settings: str) -> Iterator[Program]:
        """Another service for the same log, on a port of its own; not started yet."""
        port = free_port()
        environ = {**self.service.environ, "SERVICE_PORT": str(port), **settings}
        url = f"http://127.0.0.1:{port}"
        heir = Program(self.service.arguments, url, environ, self.service.log)
        try:
            yield heir
        finally:
            heir.end()

    @contextmanager
    def declining(self) -> Iterator[None]:
        """Every card is declined."""
        self._decline(declined=True)
        try:
            yield
        finally:
            self._decline(declined=False)

    def _decline(self, *, declined: bool) -> None:
        self.payments.put("/decline", json={"declined": declined}).raise_for_status()

    def _held(self, participant: httpx.Client, what: str, saga_id: str) -> tuple[str, ...]:
        held = participant.get(f"/{what}", params={"saga_id": saga_id}).json()[what]
        return tuple(one["status"] for one in held)


def without(members: dict[str, Any], name: str) -> dict[str, Any]:
    return {key: one for key, one in members.items() if key != name}
