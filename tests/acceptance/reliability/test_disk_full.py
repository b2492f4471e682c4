"""The disk that holds the write-ahead log is full: PostgreSQL panics, and stays down until there is
room again."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psycopg
import pytest
from saga_orchestrator.eventstore import EmbeddedServerFailed
from saga_orchestrator.tests.acceptance.fix_house import house_next_door, service
from saga_orchestrator.tests.acceptance.house import House
from saga_orchestrator.tests.acceptance.reliability.conftest import a_server
from saga_orchestrator.tests.acceptance.reliability.load import Load, assert_whole
from saga_orchestrator.tests.acceptance.reliability.own_server import ROLE, OwnServer
from saga_orchestrator.tests.acceptance.reliability.signs import await_unwell, await_well
from saga_orchestrator.tests.acceptance.waiting import until

pytestmark = pytest.mark.slow

ROOM = "112m"  # for a new server, its service, and some segments of 16 MB
CHUNK = bytes(1 << 20)


class Disk:
    """A file system of its own, of a real size."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self._ballast = place / "ballast"

    def fill(self) -> None:
        """To the last block."""
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
def a_house_on(disk: Disk, next_door: House) -> Iterator[tuple[House, OwnServer]]:
    home = disk.place / "server"
    home.mkdir()
    with a_server(home) as server:
        url = server.database_url.replace("postgres@", f"{ROLE}@", 1)
        log = disk.place.parent / "disk.log"
        saga = service(log, next_door.relay, DATABASE_URL=url)
        with house_next_door(next_door, saga, server.database_url) as house:
            yield house, server


def write_until_it_panics(server: OwnServer) -> None:
    """New segments of the log are asked for until there is none to be had."""
    with suppress(psycopg.OperationalError), psycopg.connect(server.url, autocommit=True) as one:
        while True:
            one.execute("select pg_logical_emit_message(true, 'ballast', repeat('x', 1000000))")
    until(lambda: not server.is_running, "the server is down")


def test_a_full_disk_stops_everything_and_loses_nothing(house: House, disk: Disk) -> None:
    with a_house_on(disk, house) as (full, server):
        load = Load(full)
        with load.running():
            load.await_confirmed()
            disk.fill()
            write_until_it_panics(server)
            await_unwell(full)
            load.await_refusal()
            with pytest.raises(EmbeddedServerFailed):
                server.start()
            disk.free()
            server.start()
            await_well(full)
            load.await_confirmed()

        assert_whole(full, load.confirmed)
        assert "No space left on device" in (server.data / "server.log").read_text()
