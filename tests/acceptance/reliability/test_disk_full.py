"""The disk of the write-ahead log is full: PostgreSQL panics, and stays down until it has room."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psycopg
import pytest
from saga_orchestrator.eventstore.errors import EmbeddedServerFailed
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
from saga_orchestrator.tests.acceptance.reliability.postgres_server import ROLE, PostgresServer
from saga_orchestrator.tests.acceptance.reliability.readiness import await_not_ready, await_ready
from saga_orchestrator.tests.support.waiting import wait_until

pytestmark = pytest.mark.slow

ROOM = "112m"  # for a new server, its service, and some segments of 16 MB
CHUNK = bytes(1 << 20)


class Disk:
    """A file system of limited size."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self._ballast = place / "ballast"

    def fill(self) -> None:
        """Fill the disk to the last block."""
        with suppress(OSError), self._ballast.open("wb", buffering=0) as ballast:
            while ballast.write(CHUNK):
                pass

    def free(self) -> None:
        self._ballast.unlink()


@pytest.fixture
def disk(folder: Path) -> Iterator[Disk]:
    place = folder / "disk"
    place.mkdir()
    options = f"size={ROOM},mode=0711"
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(place)],
        check=False,
        capture_output=True,
        text=True,
    )
    if mounted.returncode != 0:
        pytest.skip(f"a small disk needs the right to mount one: {mounted.stderr.strip()}")
    yield Disk(place)
    subprocess.run(["umount", str(place)], check=True)


@contextmanager
def a_house_on(disk: Disk, second: Deployment) -> Iterator[tuple[Deployment, PostgresServer]]:
    home = disk.place / "server"
    home.mkdir()
    with new_server(home) as server:
        url = server.database_url.replace("postgres@", f"{ROLE}@", 1)
        log = disk.place.parent / "disk.log"
        saga = orchestrator_process(log, second.proxy, DATABASE_URL=url)
        with second_deployment(second, saga, server.database_url) as deployment:
            yield deployment, server


def write_until_it_panics(server: PostgresServer) -> None:
    """Write to the log until there is no room for a new segment."""
    with (
        suppress(psycopg.OperationalError),
        psycopg.connect(server.url, autocommit=True) as session,
    ):
        while True:
            session.execute("select pg_logical_emit_message(true, 'ballast', repeat('x', 1000000))")
    wait_until(lambda: not server.is_running, "the server is down")


def test_full_disk_stops_the_service_and_loses_no_saga(deployment: Deployment, disk: Disk) -> None:
    with a_house_on(disk, deployment) as (full, server):
        load = ClientLoad(full)
        with load.running():
            load.await_confirmed()
            disk.fill()
            write_until_it_panics(server)
            await_not_ready(full)
            load.await_refusal()
            with pytest.raises(EmbeddedServerFailed):
                server.start()
            disk.free()
            server.start()
            await_ready(full)
            load.await_confirmed()

        assert_all_completed_once(full, load.confirmed)
        assert "No space left on device" in (server.data / "server.log").read_text()
