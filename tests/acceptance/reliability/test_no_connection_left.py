"""Others have taken all connections of the database server."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path

import psycopg
import pytest
from saga_orchestrator.tests.acceptance.deployment import orchestrator_process
from saga_orchestrator.tests.acceptance.reliability.client_load import (
    ClientLoad,
    assert_all_completed_once,
)
from saga_orchestrator.tests.acceptance.reliability.conftest import ProxiedDeployment
from saga_orchestrator.tests.acceptance.reliability.postgres_server import ROLE, PostgresServer
from saga_orchestrator.tests.acceptance.reliability.readiness import await_not_ready, await_ready

pytestmark = pytest.mark.slow

NO_LONGER_THERE = (
    f"select where not exists (select from pg_stat_activity where usename = '{ROLE}'"
    " and application_name <> 'a crowd')"
)


def test_start_without_a_free_connection_ends_with_one_line(
    exposed: ProxiedDeployment, tmp_path: Path
) -> None:
    url = exposed.deployment.service.environ["DATABASE_URL"]
    late = orchestrator_process(tmp_path / "log", exposed.deployment.proxy, DATABASE_URL=url)
    with crowded(exposed.server):
        late.launch()
        code = late.wait()

    assert code != 0
    (line,) = late.log.read_text().splitlines()
    assert line.startswith("saga: DATABASE_URL cannot be used: ")
    assert "remaining connection slots are reserved" in line or "too many clients" in line


def test_service_that_lost_its_connections_waits_for_free_ones(exposed: ProxiedDeployment) -> None:
    load, crowd = ClientLoad(exposed.deployment), ExitStack()
    with load.running():
        load.await_confirmed()
        with exposed.database_proxy.cut():
            exposed.server.await_row(NO_LONGER_THERE)
            crowd.enter_context(crowded(exposed.server))
        with crowd:
            await_not_ready(exposed.deployment, "connection")
            load.await_refusal()
        await_ready(exposed.deployment)
        load.await_confirmed()

    assert_all_completed_once(exposed.deployment, load.confirmed)


@contextmanager
def crowded(server: PostgresServer) -> Iterator[None]:
    """No room for anybody but superusers."""
    url = server.database_url.replace("postgres@", f"{ROLE}@", 1)
    with ExitStack() as crowd:
        with suppress(psycopg.OperationalError):
            while True:
                one = psycopg.connect(f"{url}&application_name=a%20crowd")
                crowd.enter_context(closing(one))
        yield
