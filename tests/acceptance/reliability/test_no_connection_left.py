"""Others have taken all connections of the database server."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path

import psycopg
import pytest
from saga_orchestrator.tests.acceptance.fix_house import service
from saga_orchestrator.tests.acceptance.reliability.conftest import Exposed
from saga_orchestrator.tests.acceptance.reliability.load import Load, assert_whole
from saga_orchestrator.tests.acceptance.reliability.own_server import ROLE, OwnServer
from saga_orchestrator.tests.acceptance.reliability.signs import await_unwell, await_well

pytestmark = pytest.mark.slow

NO_LONGER_THERE = (
    f"select where not exists (select from pg_stat_activity where usename = '{ROLE}'"
    " and application_name <> 'a crowd')"
)


def test_a_start_without_a_connection_ends_with_one_line(exposed: Exposed, tmp_path: Path) -> None:
    url = exposed.house.service.environ["DATABASE_URL"]
    late = service(tmp_path / "log", exposed.house.relay, DATABASE_URL=url)
    with crowded(exposed.server):
        late.launch()
        code = late.wait()

    assert code != 0
    (line,) = late.log.read_text().splitlines()
    assert line.startswith("saga: DATABASE_URL cannot be used: ")
    assert "remaining connection slots are reserved" in line or "too many clients" in line


def test_a_service_that_lost_its_connections_waits_for_new_ones(exposed: Exposed) -> None:
    load, crowd = Load(exposed.house), ExitStack()
    with load.running():
        load.await_confirmed()
        with exposed.wire.cut():
            exposed.server.await_one(NO_LONGER_THERE)
            crowd.enter_context(crowded(exposed.server))
        with crowd:
            await_unwell(exposed.house, "connection")
            load.await_refusal()
        await_well(exposed.house)
        load.await_confirmed()

    assert_whole(exposed.house, load.confirmed)


@contextmanager
def crowded(server: OwnServer) -> Iterator[None]:
    """No room for anybody but superusers."""
    url = server.database_url.replace("postgres@", f"{ROLE}@", 1)
    with ExitStack() as crowd:
        with suppress(psycopg.OperationalError):
            while True:
                one = psycopg.connect(f"{url}&application_name=a%20crowd")
                crowd.enter_context(closing(one))
        yield
