"""The requirements of a database that are checked before a node starts on it."""

from __future__ import annotations

import asyncio
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import psycopg
import pytest
from psycopg import sql
from saga_orchestrator.eventstore.embedded import SERVER_ACCOUNT
from saga_orchestrator.eventstore.errors import UnsuitableDatabase
from saga_orchestrator.eventstore.postgres.event_log import PostgresLog
from saga_orchestrator.eventstore.postgres.requirements import (
    MIN_CONNECTIONS,
    require_suitable_database,
)
from saga_orchestrator.eventstore.postgres.statements import DatabaseMode
from saga_orchestrator.settings import Settings
from saga_orchestrator.tests.support.postgres import database_url_of, execute
from saga_orchestrator.tests.support.waiting import wait_until

MAX_CONNECTIONS = 19
PGBOUNCER = shutil.which("pgbouncer") or "/usr/sbin/pgbouncer"
Limit = Callable[[int], None]


@pytest.fixture
def limited_url(database_url: str) -> Iterator[str]:
    """Return the URL for a user that is no superuser: limits do not hold for superusers."""
    name = f"limited_in_{urlsplit(database_url).path.lstrip('/')}"
    user = sql.Identifier(name)
    with psycopg.connect(database_url, autocommit=True) as operator:
        operator.execute(sql.SQL("create role {} login").format(user))
        operator.execute(sql.SQL("grant select on all tables in schema public to {}").format(user))
        yield database_url.replace("postgres@", f"{name}@", 1)
        operator.execute(sql.SQL("drop owned by {}").format(user))
        operator.execute(sql.SQL("drop role {}").format(user))


def limit(url: str, whom: str, connections: int) -> None:
    """Limit the connections of a user or a database."""
    parts = urlsplit(url)
    names = {"role": parts.username or "", "database": parts.path.lstrip("/")}
    command = sql.SQL("alter {} {} connection limit {}").format(
        sql.SQL(whom), sql.Identifier(names[whom]), connections
    )
    operator = url.replace(f"{parts.username}@", "postgres@", 1)
    with psycopg.connect(operator, autocommit=True) as connection:
        connection.execute(command)


@pytest.mark.parametrize("mode", ["postgresql", "portable"])
async def test_a_usual_database_is_fit(
    database_url: str, mode: DatabaseMode, caplog: pytest.LogCaptureFixture
) -> None:
    await require_suitable_database(database_url, mode, MAX_CONNECTIONS)

    assert caplog.messages == []


@pytest.mark.parametrize("mode", ["postgresql", "portable"])
async def test_a_database_that_takes_no_writes_is_refused(
    database_url: str, mode: DatabaseMode
) -> None:
    url = f"{database_url}&options=-cdefault_transaction_read_only%3Don"

    with pytest.raises(UnsuitableDatabase, match="takes no writes"):
        await require_suitable_database(url, mode, MAX_CONNECTIONS)


@pytest.mark.parametrize("mode", ["postgresql", "portable"])
@pytest.mark.parametrize("encoding", ["LATIN1", "SQL_ASCII", "EUC_JP"])
async def test_a_database_that_cannot_keep_every_text_is_refused(
    postgres_server: str, encoding: str, mode: DatabaseMode
) -> None:
    create = f"create database {{}} template template0 encoding '{encoding}'"
    execute(postgres_server, f"{create} locale 'C'", "narrow")
    try:
        with pytest.raises(UnsuitableDatabase, match=f"{encoding}.* UTF8"):
            await require_suitable_database(
                database_url_of(postgres_server, "narrow"), mode, MAX_CONNECTIONS
            )
    finally:
        execute(postgres_server, "drop database {}", "narrow")


@pytest.mark.parametrize("whom", ["role", "database"])
async def test_a_database_that_allows_too_few_connections_is_refused(
    limited_url: str, whom: str
) -> None:
    limit(limited_url, whom, MIN_CONNECTIONS - 1)

    with pytest.raises(UnsuitableDatabase, match=r"allows this user 6 connections, .* needs 7"):
        await require_suitable_database(limited_url, "postgresql", MAX_CONNECTIONS)


@pytest.mark.parametrize("whom", ["role", "database"])
async def test_fewer_connections_than_a_node_may_open_are_warned_of(
    limited_url: str, whom: str, caplog: pytest.LogCaptureFixture
) -> None:
    limit(limited_url, whom, MAX_CONNECTIONS - 1)

    await require_suitable_database(limited_url, "postgresql", MAX_CONNECTIONS)

    assert any("fewer connections" in message for message in caplog.messages)


def test_the_least_that_can_be_set_is_the_least_that_is_needed() -> None:
    (least,) = (
        limit.ge
        for limit in Settings.model_fields["saga_database_connections"].metadata
        if hasattr(limit, "ge")
    )
    assert least == MIN_CONNECTIONS


async def test_reader_that_cannot_open_a_connection_waits_for_a_returned_one(
    limited_url: str,
) -> None:
    log = PostgresLog(limited_url, readers=4, ahead=1)
    limit(limited_url, "role", 2)
    await log.open()

    assert await asyncio.gather(*(log.heads() for _ in range(20))) == [{}] * 20
    await log.close()


# A pooler between the node and the database


@pytest.fixture
def folder() -> Iterator[Path]:
    # Not pytest's own, which is closed to other accounts.
    with tempfile.TemporaryDirectory(prefix="pooler-") as name:
        Path(name).chmod(0o755)
        yield Path(name)


@contextmanager
def pooled(database_url: str, folder: Path, pool_mode: str) -> Iterator[str]:
    """Return the URL of the database behind pgbouncer."""
    parts = urlsplit(database_url)
    place = parse_qs(parts.query)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    file = folder / f"pgbouncer-{port}.ini"
    file.write_text(
        "[databases]\n"
        f"* = host={place['host'][0]} port={place['port'][0]} user={parts.username}\n"
        "[pgbouncer]\n"
        f"listen_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\n"
        f"auth_type = any\npool_mode = {pool_mode}\n"
    )
    account = pwd.getpwnam(SERVER_ACCOUNT) if os.geteuid() == 0 else None  # that of the server
    pooler = subprocess.Popen(
        [PGBOUNCER, "-q", str(file)],
        user=account.pw_uid if account else None,
        group=account.pw_gid if account else None,
        extra_groups=[] if account else None,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_until(lambda: _listens(port), "pgbouncer listens", timedelta(seconds=10))
        yield f"postgresql://{parts.username}@127.0.0.1:{port}{parts.path}"
    finally:
        pooler.kill()
        pooler.wait()


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


needs_a_pooler = pytest.mark.skipif(not Path(PGBOUNCER).exists(), reason="needs pgbouncer")


@needs_a_pooler
@pytest.mark.parametrize("mode", ["postgresql", "portable"])
@pytest.mark.parametrize("pool_mode", ["transaction", "statement"])
async def test_a_pooler_that_shares_sessions_is_refused(
    database_url: str, folder: Path, pool_mode: str, mode: DatabaseMode
) -> None:
    with (
        pooled(database_url, folder, pool_mode) as url,
        pytest.raises((UnsuitableDatabase, psycopg.OperationalError), match="pool"),
    ):
        await require_suitable_database(url, mode, MAX_CONNECTIONS)


@needs_a_pooler
async def test_a_pooler_that_gives_each_connection_its_session_is_as_good_as_none(
    database_url: str, folder: Path
) -> None:
    with pooled(database_url, folder, "session") as url:
        await require_suitable_database(url, "postgresql", MAX_CONNECTIONS)
