"""The primary dies, and its standby takes over: with every confirmed commit if replication is
synchronous, and without the last ones if it is not."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import httpx
import psycopg
import pytest
from saga_orchestrator.tests.acceptance.deployment import (
    Deployment,
    orchestrator_process,
    second_deployment,
)
from saga_orchestrator.tests.acceptance.reliability.client_load import (
    ClientLoad,
    assert_all_completed_once,
)
from saga_orchestrator.tests.acceptance.reliability.conftest import new_server
from saga_orchestrator.tests.acceptance.reliability.postgres_server import (
    DATABASE,
    ROLE,
    PostgresServer,
)
from saga_orchestrator.tests.acceptance.reliability.readiness import await_not_ready, await_ready
from saga_orchestrator.tests.support.tcp_proxy import TcpProxy
from saga_orchestrator.tests.support.waiting import wait_until

pytestmark = pytest.mark.slow

SYNCHRONOUS = "select from pg_stat_replication where sync_state = 'sync'"
NOT_REPLICATING = "select where not exists (select from pg_stat_wal_receiver)"
HEADS = "select shard_id, max(seq) from event group by shard_id"


@dataclass(frozen=True, slots=True)
class Pair:
    deployment: Deployment
    primary: PostgresServer
    standby: PostgresServer

    def fail_over(self) -> None:
        self.primary.crash()
        self.standby.promote()


@pytest.fixture
def pair(deployment: Deployment, folder: Path, tmp_path: Path) -> Iterator[Pair]:
    """A service with the addresses of both servers, which replicate asynchronously."""
    homes = [folder / f"{tmp_path.name}-{name}" for name in ("primary", "standby")]
    for home in homes:
        home.mkdir()
    with ExitStack() as stack:
        primary = stack.enter_context(new_server(homes[0]))
        standby = PostgresServer(homes[1])
        stack.callback(standby.end)
        standby.make_standby_of(primary)
        proxies = [
            stack.enter_context(TcpProxy(server.socket).running()) for server in (primary, standby)
        ]
        hosts = ",".join(each.address for each in proxies)
        url = f"postgresql://{ROLE}@{hosts}/{DATABASE}?target_session_attrs=read-write"
        saga = orchestrator_process(tmp_path / "log", deployment.proxy, DATABASE_URL=url)
        yield Pair(
            stack.enter_context(second_deployment(deployment, saga, primary.database_url)),
            primary,
            standby,
        )


def test_service_goes_on_after_a_synchronous_failover(pair: Pair) -> None:
    pair.primary.set("synchronous_standby_names", "standby")
    pair.primary.await_row(SYNCHRONOUS)
    load = ClientLoad(pair.deployment)
    with load.running():
        load.await_confirmed()
        pair.primary.crash()
        await_not_ready(pair.deployment)
        load.await_refusal()
        pair.standby.promote()
        await_ready(pair.deployment)
        load.await_confirmed()

    assert_all_completed_once(pair.deployment, load.confirmed)


@pytest.mark.long
def test_service_refuses_a_log_that_an_asynchronous_failover_has_truncated(pair: Pair) -> None:
    deployment, load = pair.deployment, ClientLoad(pair.deployment)
    with load.running():
        load.await_confirmed()
        pair.standby.set("primary_conninfo", "")
        pair.standby.await_row(NOT_REPLICATING)
        left = heads(pair.standby)
        load.await_confirmed(64 + 8)  # so that every shard has a loss
        pair.fail_over()
        await_not_ready(deployment)
        wait_until(
            lambda: "confirmed" in deployment.api.get("/readyz").text, "the loss is reported"
        )

    assert heads(pair.standby) == left
    assert '"history lost", "shard_id"' in deployment.service.log.read_text()
    deployment.service.kill()
    deployment.service.start()
    kept = [saga for saga in load.confirmed if status(deployment, saga) == httpx.codes.OK]
    assert 8 <= len(kept) < len(load.confirmed), "the last sagas are lost, and reported so"
    assert_all_completed_once(deployment, kept)


def heads(server: PostgresServer) -> dict[int, int]:
    """Return the number of the last event of each shard."""
    with psycopg.connect(server.database_url) as operator:
        return dict(operator.execute(HEADS.encode()).fetchall())


def status(deployment: Deployment, saga_id: str) -> int:
    return deployment.api.get(f"/sagas/{saga_id}/status").status_code
