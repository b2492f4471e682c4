"""Connections to the database die on the service's side alone (NAT, a firewall, a failover): the
server keeps their sessions, and with them the advisory locks of the nodes."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import httpx
import psycopg
import pytest
from saga_orchestrator.tests.acceptance.fix_house import service
from saga_orchestrator.tests.acceptance.nodes.fix_cluster import nodes_beside
from saga_orchestrator.tests.acceptance.reliability.conftest import Exposed
from saga_orchestrator.tests.acceptance.reliability.load import Load, assert_whole
from saga_orchestrator.tests.acceptance.reliability.own_server import DATABASE, ROLE
from saga_orchestrator.tests.acceptance.reliability.signs import await_well
from saga_orchestrator.tests.acceptance.reliability.wire import HalfOpen
from saga_orchestrator.tests.acceptance.waiting import until

pytestmark = pytest.mark.slow

READY_WITHIN = timedelta(seconds=10)
LIFE_LINES = (
    "select pid from pg_locks where locktype = 'advisory' and granted"
    " and database = (select oid from pg_database where datname = current_database())"
)


@pytest.mark.parametrize("seen", HalfOpen)
def test_a_node_whose_sessions_are_left_half_open_is_ready_again_by_itself(
    exposed: Exposed, seen: HalfOpen
) -> None:
    load = Load(exposed.house)
    with load.running():
        load.await_confirmed()
        before = life_lines(exposed)
        exposed.wire.leave_half_open(seen)
        until(lambda: is_back(exposed, before, [exposed.house.web]), "it is back", READY_WITHIN)
        load.await_confirmed()

    assert_whole(exposed.house, load.confirmed)


@pytest.mark.parametrize("seen", HalfOpen)
def test_two_nodes_whose_sessions_are_left_half_open_are_ready_again_by_themselves(
    exposed: Exposed, seen: HalfOpen
) -> None:
    url = f"postgresql://{ROLE}@{exposed.wire.address}/{DATABASE}"
    with nodes_beside(exposed.house, 1, DATABASE_URL=url) as nodes, nodes.doors() as doors:
        before = life_lines(exposed)
        exposed.wire.leave_half_open(seen)
        until(lambda: is_back(exposed, before, doors), "both are back", READY_WITHIN)
        nodes.await_even_shares()
    await_well(exposed.house)


@pytest.mark.parametrize("connections", [2, 4, 7])
def test_a_start_whose_connections_are_left_half_open_is_ready_by_itself(
    exposed: Exposed, tmp_path: Path, connections: int
) -> None:
    """However far it has come."""
    url = exposed.house.service.environ["DATABASE_URL"]
    late = service(tmp_path / "log", exposed.house.relay, DATABASE_URL=url)
    before = exposed.wire.connections
    late.launch()
    try:
        until(lambda: exposed.wire.connections - before >= connections, "it connects")
        exposed.wire.leave_half_open(HalfOpen.SILENT)

        late.await_health()
    finally:
        late.end()
    await_well(exposed.house)


def life_lines(exposed: Exposed) -> set[int]:
    """The process ids of the sessions that hold them."""
    with psycopg.connect(exposed.server.database_url) as operator:
        return {pid for (pid,) in operator.execute(LIFE_LINES.encode()).fetchall()}


def is_back(exposed: Exposed, before: set[int], doors: Sequence[httpx.Client]) -> bool:
    """Whether each node has a new life line, and is ready."""
    now = life_lines(exposed)
    new = len(now) == len(before) and not now & before
    return new and all(door.get("/readyz").is_success for door in doors)
