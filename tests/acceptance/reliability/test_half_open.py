"""Connections to the database die on the service's side alone (NAT, a firewall, a failover): the
server keeps their sessions, and with them the advisory locks of the nodes."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import httpx
import psycopg
import pytest
from saga_orchestrator.tests.acceptance.deployment import orchestrator_process
from saga_orchestrator.tests.acceptance.nodes.node_group import more_nodes
from saga_orchestrator.tests.acceptance.reliability.client_load import (
    ClientLoad,
    assert_all_completed_once,
)
from saga_orchestrator.tests.acceptance.reliability.conftest import ProxiedDeployment
from saga_orchestrator.tests.acceptance.reliability.postgres_server import DATABASE, ROLE
from saga_orchestrator.tests.acceptance.reliability.readiness import await_ready
from saga_orchestrator.tests.support.tcp_proxy import HalfOpen
from saga_orchestrator.tests.support.waiting import wait_until

pytestmark = pytest.mark.slow

READY_WITHIN = timedelta(seconds=10)
LIFE_LINES = (
    "select pid from pg_locks where locktype = 'advisory' and granted"
    " and database = (select oid from pg_database where datname = current_database())"
)


@pytest.mark.parametrize("seen", HalfOpen)
def test_node_with_half_open_sessions_recovers(exposed: ProxiedDeployment, seen: HalfOpen) -> None:
    load = ClientLoad(exposed.deployment)
    with load.running():
        load.await_confirmed()
        before = life_lines(exposed)
        exposed.database_proxy.leave_half_open(seen)
        wait_until(
            lambda: is_back(exposed, before, [exposed.deployment.api]), "it is back", READY_WITHIN
        )
        load.await_confirmed()

    assert_all_completed_once(exposed.deployment, load.confirmed)


@pytest.mark.parametrize("seen", HalfOpen)
def test_two_nodes_with_half_open_sessions_recover(
    exposed: ProxiedDeployment, seen: HalfOpen
) -> None:
    url = f"postgresql://{ROLE}@{exposed.database_proxy.address}/{DATABASE}"
    with more_nodes(exposed.deployment, 1, DATABASE_URL=url) as nodes, nodes.clients() as doors:
        before = life_lines(exposed)
        exposed.database_proxy.leave_half_open(seen)
        wait_until(lambda: is_back(exposed, before, doors), "both are back", READY_WITHIN)
        nodes.await_even_shares()
    await_ready(exposed.deployment)


@pytest.mark.parametrize("connections", [2, 4, 7])
def test_start_with_half_open_sessions_becomes_ready(
    exposed: ProxiedDeployment, tmp_path: Path, connections: int
) -> None:
    """However far it has come."""
    url = exposed.deployment.service.environ["DATABASE_URL"]
    late = orchestrator_process(tmp_path / "log", exposed.deployment.proxy, DATABASE_URL=url)
    before = exposed.database_proxy.accepted
    late.launch()
    try:
        wait_until(lambda: exposed.database_proxy.accepted - before >= connections, "it connects")
        exposed.database_proxy.leave_half_open(HalfOpen.SILENT)

        late.await_health()
    finally:
        late.end()
    await_ready(exposed.deployment)


def life_lines(exposed: ProxiedDeployment) -> set[int]:
    """The process ids of the sessions that hold them."""
    with psycopg.connect(exposed.server.database_url) as operator:
        return {pid for (pid,) in operator.execute(LIFE_LINES.encode()).fetchall()}


def is_back(exposed: ProxiedDeployment, before: set[int], doors: Sequence[httpx.Client]) -> bool:
    """Whether each node has a new life line, and is ready."""
    now = life_lines(exposed)
    new = len(now) == len(before) and not now & before
    return new and all(door.get("/readyz").is_success for door in doors)
