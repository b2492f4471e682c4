"""Other clients have taken all connections of the database server."""

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

SERVICE_IS_DISCONNECTED = (
    f"select where not exists (select from pg_stat_activity where usename = '{ROLE}'"
    " and application_name <> 'a crowd')"
)


def test_start_without_a_free_connection_ends_with_one_line(
    proxied: ProxiedDeployment, tmp_path: Path
) -> None:
    url = proxied.deployment.service.environ["DATABASE_URL"]
    late = orchestrator_process(tmp_path / "log", proxied.deployment.proxy, DATABASE_URL=url)
    with crowded(proxied.server):
        late.launch()
        code = late.wait()

    assert code != 0
    (line,) = late.log.read_text().splitlines()
    assert line.startswith("saga: DATABASE_URL cannot be used: ")
    assert "remaining connection slots are reserved" in line or "too many clients" in line


def test_service_that_lost_its_connections_waits_for_free_ones(proxied: ProxiedDeployment) -> None:
    load, crowd = ClientLoad(proxied.deployment), ExitStack()
    with load.running():
        load.await_confirmed()
        with proxied.database_proxy.cut():
            proxied.server.await_row(SERVICE_IS_DISCONNECTED)
            crowd.enter_context(crowded(proxied.server))
        with crowd:
            await_not_ready(proxied.deployment, "connection")
            load.await_refusal()
        await_ready(proxied.deployment)
        load.await_confirmed()

    assert_all_completed_once(proxied.deployment, load.confirmed)


@contextmanager
def crowded(server: PostgresServer) -> Iterator[None]:
    """Take all connections that are not reserved for superusers."""
    url = server.database_url.replace("postgres@", f"{ROLE}@", 1)
    with ExitStack() as crowd:
        with suppress(psycopg.OperationalError):
            while True:
                session = psycopg.connect(f"{url}&application_name=a%20crowd")
                crowd.enter_context(closing(session))
        yield
