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
    """How a saga has ended, for its client, in the log and at the participants; without its ids."""

    status: str
    error: str | None
    events: int
    steps: tuple[tuple[str, str, int], ...]  # name, status, attempts
    parked: dict[str, Any] | None
    orders: tuple[str, ...]
    payments: tuple[str, ...]
    effects: tuple[tuple[str, int], ...]  # call, number of effects


class Deployment:
    def __init__(
        self,
        service: ServerProcess,
        database: Database,
        proxy: RecordingProxy,
        orders: str,
        payments: str,
    ) -> None:
        self.service, self.database, self.proxy = service, database, proxy
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
        """Return the number of a new order, without sending anything."""
        return next(_entities)

    def start(
        self, entity_id: int, prefer: str = PREFER_WAIT, web: httpx.Client | None = None
    ) -> httpx.Response:
        """Start the saga of an order, with `web` at another node.

        Raises httpx.TransportError if there is no response.
        """
        headers = {"Idempotency-Key": f"order-{entity_id}", "Prefer": prefer}
        answer = (web or self.api).post(
            "/sagas/start", json=order_request(entity_id), headers=headers
        )
        if answer.is_success:
            self._record_answer(f"order-{entity_id}", answer.json())
        return answer

    def _record_answer(self, request: str, answer: dict[str, Any]) -> None:
        facts = {name: answer[name] for name in ("saga_id", "status")}
        self.answers.append({"at": datetime.now(UTC).isoformat(), "request": request, **facts})

    def submit_start(self, entity_id: int, prefer: str = PREFER_ASYNC) -> Future[httpx.Response]:
        return self._clients.submit(self.start, entity_id, prefer)

    def start_all(self, entity_ids: Sequence[int]) -> None:
        """Start the sagas of several orders; return when all of them are recorded."""
        for response in [self.submit_start(entity_id) for entity_id in entity_ids]:
            assert response.result().status_code == httpx.codes.ACCEPTED

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
            steps=tuple(
                (step["name"], step["status"], step["attempts"]) for step in status["steps"]
            ),
            parked=None if status["parked"] is None else without(status["parked"], "since"),
            orders=self._statuses_at(self.orders, "orders", saga_id),
            payments=self._statuses_at(self.payments, "payments", saga_id),
            effects=tuple(sorted(self.effects(saga_id).items())),
        )

    def resting_saga(self, entity_id: int) -> str | None:
        """Return the saga of an order, once it rests."""
        answer = self.start(entity_id)
        assert answer.is_success, answer.text
        return str(answer.json()["saga_id"]) if answer.status_code == httpx.codes.OK else None

    def effects(self, saga_id: str) -> Counter[str]:
        """Return how often each call took effect; a replayed reply is no effect."""
        return Counter(
            call["key"].partition("/")[2]
            for participant in (self.orders, self.payments)
            for call in participant.get("/calls").json()["calls"]
            if call["saga_id"] == saga_id and not call["replayed"]
        )

    def keys_are_constant(self, saga_id: str) -> bool:
        """True if every key is that of its saga, step and direction, and every call is attempt 1,
        repeated after a crash or not."""
        calls = self.proxy.calls_of(saga_id)
        return all((each.key, each.attempt) == (f"{saga_id}/{each.call}", "1") for each in calls)

    def calls_in_order(self, saga_id: str) -> Sequence[str]:
        """Return the calls of a saga in order, with repetitions."""
        return [call.call for call in self.proxy.calls_of(saga_id)]

    def run_doctor(self) -> DoctorReport:
        """Run the doctor on the log, the ledgers of participants and the responses to clients."""
        sagas = self.database.sagas()
        calls = [call for call in self.proxy.ledger if call["saga_id"] in sagas]
        return examine_log(self.service.environ, self.service.log.parent, calls, list(self.answers))

    @contextmanager
    def successor(self, **settings: str) -> Iterator[ServerProcess]:
        """Yield a second service on the same log, with a port of its own; it is not started."""
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
        """Decline every card while the block runs."""
        self._decline(declined=True)
        try:
            yield
        finally:
            self._decline(declined=False)

    def _decline(self, *, declined: bool) -> None:
        self.payments.put("/decline", json={"declined": declined}).raise_for_status()

    def _statuses_at(self, participant: httpx.Client, what: str, saga_id: str) -> tuple[str, ...]:
        items = participant.get(f"/{what}", params={"saga_id": saga_id}).json()[what]
        return tuple(item["status"] for item in items)


def without(members: dict[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in members.items() if key != name}


@pytest.fixture(scope="session")
def session_deployment(
    postgres_server: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Deployment]:
    folder = tmp_path_factory.mktemp("deployment")
    with (
        fresh_database(postgres_server, folder.name) as url,
        running_deployment(folder, url) as deployment,
    ):
        yield deployment


@pytest.fixture
def deployment(session_deployment: Deployment) -> Deployment:
    session_deployment.proxy.drop_all()
    if not session_deployment.service.is_alive:
        session_deployment.service.start()
    return session_deployment


@pytest.fixture(scope="session")
def undisturbed(session_deployment: Deployment) -> Outcome:
    """How an order ends without any fault."""
    return session_deployment.outcome_of(session_deployment.new_order())


@pytest.fixture(scope="session")
def undisturbed_decline(session_deployment: Deployment) -> Outcome:
    """How an order whose card is declined ends without any fault."""
    with session_deployment.declining():
        return session_deployment.outcome_of(session_deployment.new_order())


@contextmanager
def fresh_database(server_url: str, name: str) -> Iterator[str]:
    """Yield the URL of an empty database, which the service migrates."""
    execute(server_url, "create database {}", name)
    yield database_url_of(server_url, name)
    execute(server_url, "drop database {} with (force)", name)


@contextmanager
def running_deployment(folder: Path, database_url: str) -> Iterator[Deployment]:
    with ExitStack() as stack:
        orders, payments = (
            stack.enter_context(running(participant_process(module, folder)))
            for module in ("order_service", "payment_service")
        )
        proxy = RecordingProxy({"orders": orders.url, "payments": payments.url})
        stack.enter_context(proxy.running())
        saga = orchestrator_process(folder / "service.log", proxy, DATABASE_URL=database_url)
        stack.enter_context(running(saga))
        database = stack.enter_context(closing(Database(database_url)))
        yield stack.enter_context(
            closing(Deployment(saga, database, proxy, orders.url, payments.url))
        )


@contextmanager
def second_deployment(
    deployment: Deployment, saga: ServerProcess, database_url: str
) -> Iterator[Deployment]:
    """Run another service on another database, with the same participants."""
    urls = (str(client.base_url) for client in (deployment.orders, deployment.payments))
    with (
        running(saga),
        closing(Database(database_url)) as database,
        closing(Deployment(saga, database, deployment.proxy, *urls)) as second,
    ):
        yield second


def orchestrator_process(log: Path, proxy: RecordingProxy, **settings: str) -> ServerProcess:
    """Return an orchestrator on a free port, which calls participants through the proxy unless
    `settings` give other URLs."""
    port = free_port()
    called = {"ORDER_SERVICE_URL": proxy.url, "PAYMENT_SERVICE_URL": proxy.url}
    environ = clean_environ(
        **{"SERVICE_PORT": str(port), "SAGA_DRAIN_TIME": "2s", **called, **settings}
    )
    return ServerProcess((*SAGA_COMMAND, "serve"), f"http://127.0.0.1:{port}", environ, log)


@contextmanager
def running(program: ServerProcess) -> Iterator[ServerProcess]:
    """Start a program, and end it after the block."""
    try:
        program.start()
        yield program
    finally:
        program.end()
