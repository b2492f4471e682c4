"""What a node does to others that it takes for dead, and when it does not trust its eyes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import timedelta

import psycopg
import pytest
from saga_orchestrator.eventstore import (
    LogUnavailable,
    PostgresLog,
    PostgresMembership,
    Readers,
)
from saga_orchestrator.tests.event_builders import NOON

ANNE, BERT = (f"0000000{n}-0000-4000-8000-00000000000{n}" for n in (1, 2))
LONG = timedelta(seconds=10)
FALLS_SILENT = "update node set seen_at = seen_at - interval '5 seconds' where node_id = %s"
ALL_SESSIONS_END = (
    "select pg_terminate_backend(pid) from pg_stat_activity"
    " where datname = current_database() and application_name like 'node %'"
)
UNDECIDED_ROW = (
    "insert into event select shard_id, seq + 1, gen_random_uuid(), 1, epoch, type,"
    " schema_version, recorded_at, payload, hash from event where shard_id = 1"
)


@pytest.fixture
async def readers(database_url: str) -> AsyncIterator[Readers]:
    opened = Readers(database_url, LONG, owner=ANNE)
    yield opened
    await opened.close()


@pytest.fixture
async def anne(database_url: str, readers: Readers) -> AsyncIterator[PostgresMembership]:
    joined = PostgresMembership(database_url, readers, ANNE)
    yield joined
    await joined.close()


@pytest.fixture
async def bert(database_url: str, readers: Readers) -> AsyncIterator[PostgresMembership]:
    joined = PostgresMembership(database_url, readers, BERT)
    yield joined
    await joined.close()


@pytest.fixture
async def operator(database_url: str) -> AsyncIterator[psycopg.AsyncConnection]:
    connection = await psycopg.AsyncConnection.connect(database_url, autocommit=True)
    yield connection
    await connection.close()


async def test_a_node_that_came_back_itself_lets_the_others_come_back_before_it_judges(
    anne: PostgresMembership, bert: PostgresMembership, operator: psycopg.AsyncConnection
) -> None:
    """As after a restart of the server: who is first must not take everything."""
    await anne.beat()
    await bert.beat()
    await operator.execute(ALL_SESSIONS_END)
    await operator.execute(FALLS_SILENT, (BERT,))
    with suppress(LogUnavailable):
        await anne.beat()  # on the session that is gone

    assert (await anne.beat()).is_alive(BERT)

    async with asyncio.timeout(LONG.total_seconds()):
        while (await anne.beat()).is_alive(BERT):
            await anne.nudged(timedelta(milliseconds=10))


async def test_a_node_that_has_just_been_started_judges_at_once(
    anne: PostgresMembership, bert: PostgresMembership, operator: psycopg.AsyncConnection
) -> None:
    await bert.beat()
    await operator.execute(ALL_SESSIONS_END)
    await operator.execute(FALLS_SILENT, (BERT,))

    assert not (await anne.beat()).is_alive(BERT)


async def test_what_a_dead_node_has_left_undecided_holds_up_nobody(
    anne: PostgresMembership, database_url: str
) -> None:
    log = PostgresLog(database_url, owner=ANNE)
    await log.claim([1], recorded_at=NOON)
    name = f"node {BERT} writer"
    dead = await psycopg.AsyncConnection.connect(database_url, application_name=name)
    await dead.execute(UNDECIDED_ROW)

    await anne.reserve([1], [BERT])

    assert await log.claim([1], recorded_at=NOON) == {1: 2}
    with pytest.raises(psycopg.OperationalError):
        await dead.execute("select")
    await dead.close()
    await log.close()
