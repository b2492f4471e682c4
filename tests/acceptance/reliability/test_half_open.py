"""Connections to the database die on the side of the service alone (NAT, a firewall, a failover):
the server keeps their sessions, and with them the advisory locks of the nodes."""

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
LIVENESS_LOCKS = (
    "select pid from pg_locks where locktype = 'advisory' and granted"
    " and database = (select oid from pg_database where datname = current_database())"
)


@pytest.mark.parametrize("seen", HalfOpen)
def test_node_with_half_open_sessions_recovers(proxied: ProxiedDeployment, seen: HalfOpen) -> None:
    load = ClientLoad(proxied.deployment)
    with load.running():
        load.await_confirmed()
        before = liveness_sessions(proxied)
        proxied.database_proxy.leave_half_open(seen)
        wait_until(
            lambda: is_back(proxied, before, [proxied.deployment.api]),
            "the node is back",
            READY_WITHIN,
        )
        load.await_confirmed()

    assert_all_completed_once(proxied.deployment, load.confirmed)


@pytest.mark.parametrize("seen", HalfOpen)
def test_two_nodes_with_half_open_sessions_recover(
    proxied: ProxiedDeployment, seen: HalfOpen
) -> None:
    url = f"postgresql://{ROLE}@{proxied.database_proxy.address}/{DATABASE}"
    with more_nodes(proxied.deployment, 1, DATABASE_URL=url) as nodes, nodes.clients() as apis:
        before = liveness_sessions(proxied)
        proxied.database_proxy.leave_half_open(seen)
        wait_until(lambda: is_back(proxied, before, apis), "both are back", READY_WITHIN)
        nodes.await_even_shares()
    await_ready(proxied.deployment)


@pytest.mark.parametrize("connections", [2, 4, 7])
def test_start_with_half_open_sessions_becomes_ready(
    proxied: ProxiedDeployment, tmp_path: Path, connections: int
) -> None:
    """The sessions are severed at different stages of the start."""
    url = proxied.deployment.service.environ["DATABASE_URL"]
    late = orchestrator_process(tmp_path / "log", proxied.deployment.proxy, DATABASE_URL=url)
    before = proxied.database_proxy.accepted
    late.launch()
    try:
        wait_until(lambda: proxied.database_proxy.accepted - before >= connections, "it connects")
        proxied.database_proxy.leave_half_open(HalfOpen.SILENT)

        late.await_health()
    finally:
        late.end()
    await_ready(proxied.deployment)


def liveness_sessions(proxied: ProxiedDeployment) -> set[int]:
    """Return the process ids of the sessions that hold a liveness lock."""
    with psycopg.connect(proxied.server.database_url) as operator:
        return {pid for (pid,) in operator.execute(LIVENESS_LOCKS.encode()).fetchall()}


def is_back(proxied: ProxiedDeployment, before: set[int], apis: Sequence[httpx.Client]) -> bool:
    """True if each node has a new session with its liveness lock, and is ready."""
    now = liveness_sessions(proxied)
    new = len(now) == len(before) and not now & before
    return new and all(api.get("/readyz").is_success for api in apis)
