"""A whole deployment: the orchestrator and its database, two participants, and a recording
proxy between.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any

import httpx
import pytest
from saga_orchestrator.examples.scenarios import order_request
from saga_orchestrator.tests.acceptance.database import Database
from saga_orchestrator.tests.acceptance.doctor_run import DoctorReport, examine_log
from saga_orchestrator.tests.acceptance.process import (
    SAGA_COMMAND,
    ServerProcess,
    clean_environ,
    free_port,
    http_client,
    participant_process,
)
from saga_orchestrator.tests.acceptance.recording_proxy import RecordingProxy
from saga_orchestrator.tests.support.postgres import database_url_of, execute
from saga_orchestrator.tests.support.waiting import wait_until

CREATE, PAY, CONFIRM = "create_order/action", "process_payment/action", "confirm_order/action"
CANCEL = "create_order/compensation"
PREFER_WAIT, PREFER_ASYNC = "wait=30", "respond-async"

_entities = count(1000)


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a saga rests, for its client, for its log and at the participants; without its names."""

    status: str
    error: str | None
    events: int
    steps: tuple[tuple[str, str, int], ...]  # name, status, attempts
    parked: dict[str, Any] | None
    orders: tuple[str, ...]
    payments: tuple[str, ...]
    effects: tuple[tuple[str, int], ...]  # call, how often it did something


class Deployment:
    def __init__(
        self,
        service: ServerProcess,
        database: Database,
        relay: RecordingProxy,
        orders: str,
        payments: str,
    ) -> None:
        self.service, self.database, self.proxy = service, database, relay
        self.orders, self.payments = http_client(orders), http_client(payments)
        self.api = http_client(service.url)
        self.answers: list[dict[str, Any]] = []
        self._clients = ThreadPoolExecutor(16, thread_name_prefix="client")

    def close(self) -> None:
        self._clients.shutdown()
        self.orders.close()
        self.payments.close()
        self.api.close()

    def new_order(self) -> int:
        """The number of a new order; nothing is sent."""
        return next(_entities)

    def start(
        self, entity_id: int, prefer: str = PREFER_WAIT, web: httpx.Client | None = None
    ) -> httpx.Response:
        """At another node with `web`. Raises httpx.TransportError if there is no answer."""
        headers = {"Idempotency-Key": f"order-{entity_id}", "Prefer": prefer}
        answer = (web or self.api).post(
            "/sagas/start", json=order_request(entity_id), headers=headers
        )
        if answer.is_success:
            self._record_answer(f"order-{entity_id}", answer.json())
        return answer

    def _record_answer(self, request: str, answer: dict[str, Any]) -> None:
        told = {name: answer[name] for name in ("saga_id", "status")}
        self.answers.append({"at": datetime.now(UTC).isoformat(), "request": request, **told})

    def submit_start(self, entity_id: int, prefer: str = PREFER_ASYNC) -> Future[httpx.Response]:
        return self._clients.submit(self.start, entity_id, prefer)

    def start_all(self, entity_ids: Sequence[int]) -> None:
        """Returns when all of them are recorded."""
        for started in [self.submit_start(one) for one in entity_ids]:
            assert started.result().status_code == httpx.codes.ACCEPTED

    def saga_id(self, entity_id: int) -> str:
        return str(self.start(entity_id, PREFER_ASYNC).json()["saga_id"])

    def status(self, saga_id: str) -> dict[str, Any]:
        status: dict[str, Any] = self.api.get(f"/sagas/{saga_id}/status").json()
        return status

    def outcome_of(self, entity_id: int) -> Outcome:
        saga_id = str(wait_until(lambda: self.resting_saga(entity_id), f"order {entity_id} rests"))
        status = self.status(saga_id)
        assert self.keys_are_constant(saga_id), self.proxy.calls_of(saga_id)
        return Outcome(
            status=status["status"],
            error=status["error"],
            events=status["version"],
            steps=tuple((one["name"], one["status"], one["attempts"]) for one in status["steps"]),
            parked=None if status["parked"] is None else without(status["parked"], "since"),
            orders=self._statuses_at(self.orders, "orders", saga_id),
            payments=self._statuses_at(self.payments, "payments", saga_id),
            effects=tuple(sorted(self.effects(saga_id).items())),
        )

    def resting_saga(self, entity_id: int) -> str | None:
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

    def keys_are_constant(self, saga_id: str) -> bool:
        """A key is a function of saga, step and direction, and an attempt that is sent again after
        a crash keeps its number."""
        calls = self.proxy.calls_of(saga_id)
        return all((one.key, one.attempt) == (f"{saga_id}/{one.call}", "1") for one in calls)

    def calls_in_order(self, saga_id: str) -> Sequence[str]:
        """The calls in order, those that were sent again too."""
        return [one.call for one in self.proxy.calls_of(saga_id)]

    def run_doctor(self) -> DoctorReport:
        """What the doctor finds; participants have told of all calls of our own sagas."""
        ours = self.database.sagas()
        calls = [one for one in self.proxy.ledger if one["saga_id"] in ours]
        return examine_log(self.service.environ, self.service.log.parent, calls, list(self.answers))

    @contextmanager
    def successor(self, **settings: str) -> Iterator[ServerProcess]:
        """Another service for the same log, on a port of its own; not started yet."""
        port = free_port()
        environ = {**self.service.environ, "SERVICE_PORT": str(port), **settings}
        url = f"http://127.0.0.1:{port}"
        heir = ServerProcess(self.service.arguments, url, environ, self.service.log)
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

    def _statuses_at(self, participant: httpx.Client, what: str, saga_id: str) -> tuple[str, ...]:
        held = participant.get(f"/{what}", params={"saga_id": saga_id}).json()[what]
        return tuple(one["status"] for one in held)


def without(members: dict[str, Any], name: str) -> dict[str, Any]:
    return {key: one for key, one in members.items() if key != name}


@pytest.fixture(scope="session")
def whole_house(
    postgres_server: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Deployment]:
    folder = tmp_path_factory.mktemp("house")
    with (
        fresh_database(postgres_server, folder.name) as url,
        running_deployment(folder, url) as house,
    ):
        yield house


@pytest.fixture
def house(whole_house: Deployment) -> Deployment:
    whole_house.proxy.drop_all()
    if not whole_house.service.is_alive:
        whole_house.service.start()
    return whole_house


@pytest.fixture(scope="session")
def undisturbed(whole_house: Deployment) -> Outcome:
    """How an order ends that nothing happens to."""
    return whole_house.outcome_of(whole_house.new_order())


@pytest.fixture(scope="session")
def undisturbed_decline(whole_house: Deployment) -> Outcome:
    with whole_house.declining():
        return whole_house.outcome_of(whole_house.new_order())


@contextmanager
def fresh_database(server_url: str, name: str) -> Iterator[str]:
    """Empty: the service migrates it."""
    execute(server_url, "create database {}", name)
    yield database_url_of(server_url, name)
    execute(server_url, "drop database {} with (force)", name)


@contextmanager
def running_deployment(folder: Path, database_url: str) -> Iterator[Deployment]:
    with ExitStack() as stack:
        orders, payments = (
            stack.enter_context(running(participant_process(one, folder)))
            for one in ("order_service", "payment_service")
        )
        relay = RecordingProxy({"orders": orders.url, "payments": payments.url})
        stack.enter_context(relay.running())
        saga = orchestrator_process(folder / "service.log", relay, DATABASE_URL=database_url)
        stack.enter_context(running(saga))
        database = stack.enter_context(closing(Database(database_url)))
        yield stack.enter_context(
            closing(Deployment(saga, database, relay, orders.url, payments.url))
        )


@contextmanager
def second_deployment(
    house: Deployment, saga: ServerProcess, database_url: str
) -> Iterator[Deployment]:
    """Another service and another database, with the same participants."""
    urls = (str(one.base_url) for one in (house.orders, house.payments))
    with (
        running(saga),
        closing(Database(database_url)) as database,
        closing(Deployment(saga, database, house.proxy, *urls)) as next_door,
    ):
        yield next_door


def orchestrator_process(log: Path, relay: RecordingProxy, **settings: str) -> ServerProcess:
    """The orchestrator on a free port; it calls participants through the relay, unless `settings`
    say otherwise."""
    port = free_port()
    called = {"ORDER_SERVICE_URL": relay.url, "PAYMENT_SERVICE_URL": relay.url}
    environ = clean_environ(
        **{"SERVICE_PORT": str(port), "SAGA_DRAIN_TIME": "2s", **called, **settings}
    )
    return ServerProcess((*SAGA_COMMAND, "serve"), f"http://127.0.0.1:{port}", environ, log)


@contextmanager
def running(program: ServerProcess) -> Iterator[ServerProcess]:
    """Ready, and gone at the end."""
    try:
        program.start()
        yield program
    finally:
        program.end()
