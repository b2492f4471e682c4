"""A data directory has one embedded server, however many processes use it and however they end."""

from __future__ import annotations

import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from saga_orchestrator.eventstore.embedded import embedded_server

# Says where its server is, then waits to be killed or to hear that it may go.
PROGRAM = """
import sys
from pathlib import Path
from saga_orchestrator.eventstore.embedded import embedded_server
with embedded_server(Path(sys.argv[1])) as server:
    print(server.url, flush=True)
    sys.stdin.readline()
"""

pytestmark = pytest.mark.slow


@pytest.fixture
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="postgres-") as folder:
        yield Path(folder)


def start(folder: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def url_of(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def postmaster(url: str) -> str:
    """Return the start time of a server, which tells it from one that was started later."""
    with psycopg.connect(url) as connection:
        row = connection.execute("select pg_postmaster_start_time()::text").fetchone()
        assert row is not None
        return str(row[0])


def is_down(url: str) -> bool:
    try:
        psycopg.connect(url).close()
    except psycopg.OperationalError:
        return True
    return False


def test_the_data_is_kept_and_the_settings_are_durable(folder: Path) -> None:
    with embedded_server(folder) as server, psycopg.connect(server.url) as connection:
        connection.execute("create table kept (n integer)")
        row = connection.execute(
            "select current_setting('fsync'), current_setting('full_page_writes'),"
            " current_setting('synchronous_commit'), current_setting('listen_addresses')"
        ).fetchone()
    assert is_down(server.url)

    with embedded_server(folder) as again, psycopg.connect(again.url) as connection:
        kept = connection.execute("select count(*) from kept").fetchone()

    assert row == ("on", "on", "on", "")
    assert kept == (0,)


def test_the_server_of_a_killed_process_is_found_again_and_stopped_at_last(folder: Path) -> None:
    killed = start(folder)
    before = postmaster(url_of(killed))
    killed.send_signal(signal.SIGKILL)
    killed.communicate()

    with embedded_server(folder) as server:
        assert postmaster(server.url) == before

    assert is_down(server.url)


def test_only_the_last_user_stops_the_server(folder: Path) -> None:
    other = start(folder)
    url = url_of(other)

    with embedded_server(folder) as server, embedded_server(folder) as same:
        assert server.url == same.url == url
    assert not is_down(url)
    other.communicate("go\n")

    assert is_down(url)


def test_a_folder_with_a_long_name_works(folder: Path) -> None:
    long = folder / ("x" * 60) / ("y y's" * 12)

    with embedded_server(long) as server:
        assert postmaster(server.url)


def test_half_a_cluster_is_made_again(folder: Path) -> None:
    (folder / "cluster.unfinished").mkdir()
    (folder / "cluster.unfinished" / "PG_VERSION").write_text("18\n")

    with embedded_server(folder) as server:
        assert postmaster(server.url)
