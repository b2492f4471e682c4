"""Statements sent over libpq itself, against a real server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress

import psycopg
import pytest
from saga_orchestrator.eventstore.postgres.binary_arrays import bytea_array, int4_array
from saga_orchestrator.eventstore.postgres.connection import Connector
from saga_orchestrator.eventstore.postgres.prepared_connection import (
    PreparedConnection,
    open_prepared_connection,
)

COPY = b"insert into copied select * from unnest(%(number)s::integer[], %(content)s::bytea[])"

WAITING = (
    b"select from pg_stat_activity where application_name = 'line'"
    b" and wait_event_type = 'Lock' and datname = current_database()"
)


@pytest.fixture
async def line(database_url: str) -> AsyncIterator[PreparedConnection]:
    line = await open_prepared_connection(Connector(database_url, "line"))
    await line.connection.execute(
        b"create table copied (number integer primary key, content bytea)"
    )
    yield line
    await line.close()


async def copied(line: PreparedConnection) -> list[tuple[object, ...]]:
    cursor = await line.connection.execute(
        b"select number, octet_length(content) from copied order by number"
    )
    return await cursor.fetchall()


async def copy(line: PreparedConnection, *numbers: int, size: int = 1) -> int:
    contents = [bytes(size) for _ in numbers]
    return await line.execute(
        "copy", COPY, {"number": int4_array(numbers), "content": bytea_array(contents)}
    )


async def test_a_statement_is_prepared_once_and_says_how_many_rows_it_changed(
    line: PreparedConnection,
) -> None:
    assert await copy(line, 1, 2) == 2
    assert await copy(line, 3) == 1

    assert await copied(line) == [(1, 1), (2, 1), (3, 1)]
    prepared = await line.connection.execute(
        b"select count(*) from pg_prepared_statements where name = 'copy'"
    )
    assert await prepared.fetchall() == [(1,)]


async def test_parameters_may_be_larger_than_what_a_socket_takes_at_once(
    line: PreparedConnection,
) -> None:
    assert await copy(line, 1, 2, size=8 * 1024 * 1024) == 2

    assert await copied(line) == [(1, 8 * 1024 * 1024), (2, 8 * 1024 * 1024)]


async def test_refused_statement_raises_the_class_of_its_code_and_the_connection_stays_usable(
    line: PreparedConnection,
) -> None:
    await copy(line, 1)

    with pytest.raises(psycopg.errors.UniqueViolation, match="copied_pkey"):
        await copy(line, 1)

    assert await copy(line, 2) == 1


async def test_a_statement_that_cannot_be_prepared_is_refused_each_time(
    line: PreparedConnection,
) -> None:
    for _ in range(2):
        with pytest.raises(psycopg.errors.UndefinedTable):
            await line.execute("missing", b"insert into missing values (1)", {})

    assert await copy(line, 1) == 1


async def test_a_lost_connection_is_an_operational_error(
    line: PreparedConnection, database_url: str
) -> None:
    await copy(line, 1)
    with psycopg.connect(database_url, autocommit=True) as other:
        other.execute(b"select pg_terminate_backend(%s)", [line.connection.info.backend_pid])

    with pytest.raises(psycopg.OperationalError):
        await copy(line, 2)


async def test_other_tasks_run_while_a_statement_waits(
    line: PreparedConnection, database_url: str
) -> None:
    async with await psycopg.AsyncConnection.connect(database_url) as other:
        await other.execute(b"lock table copied")
        waiting = asyncio.ensure_future(copy(line, 1))
        await until_it_waits(database_url)
        assert not waiting.done()
        await other.commit()

        assert await waiting == 1


async def test_connection_of_a_cancelled_task_can_be_closed(
    line: PreparedConnection, database_url: str
) -> None:
    async with await psycopg.AsyncConnection.connect(database_url) as other:
        await other.execute(b"lock table copied")
        waiting = asyncio.ensure_future(copy(line, 1))
        await until_it_waits(database_url)

        waiting.cancel()
        with suppress(asyncio.CancelledError):
            await waiting
        await line.close()

        assert line.connection.closed


async def until_it_waits(database_url: str) -> None:
    """Wait until a session of the database waits for a lock."""
    async with await psycopg.AsyncConnection.connect(database_url, autocommit=True) as watcher:
        async with asyncio.timeout(10):
            while await (await watcher.execute(WAITING)).fetchone() is None:
                pass
