"""What a node does to nodes that it takes for dead, and when it does not trust its view."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

import psycopg
import pytest
from saga_orchestrator.eventstore.cluster.inbox import Message
from saga_orchestrator.eventstore.cluster.postgres import PostgresInbox, PostgresMembership
from saga_orchestrator.eventstore.errors import LogUnavailable
from saga_orchestrator.eventstore.postgres.event_log import PostgresLog
from saga_orchestrator.eventstore.postgres.reader_pool import ReaderPool
from saga_orchestrator.tests.support.event_builders import NOON
from saga_orchestrator.tests.support.tcp_proxy import TcpProxy

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
async def readers(database_url: str) -> AsyncIterator[ReaderPool]:
    opened = ReaderPool(database_url, LONG, owner=ANNE)
    yield opened
    await opened.close()


@pytest.fixture
async def anne(database_url: str, readers: ReaderPool) -> AsyncIterator[PostgresMembership]:
    joined = PostgresMembership(database_url, readers, ANNE)
    yield joined
    await joined.close()


@pytest.fixture
async def bert(database_url: str, readers: ReaderPool) -> AsyncIterator[PostgresMembership]:
    joined = PostgresMembership(database_url, readers, BERT)
    yield joined
    await joined.close()


@pytest.fixture
async def operator(database_url: str) -> AsyncIterator[psycopg.AsyncConnection]:
    connection = await psycopg.AsyncConnection.connect(database_url, autocommit=True)
    yield connection
    await connection.close()


async def test_reconnected_node_waits_for_others_to_reconnect_before_it_judges(
    anne: PostgresMembership, bert: PostgresMembership, operator: psycopg.AsyncConnection
) -> None:
    """After a restart of the server the first node to return must not acquire every shard."""
    await anne.heartbeat()
    await bert.heartbeat()
    await operator.execute(ALL_SESSIONS_END)
    await operator.execute(FALLS_SILENT, (BERT,))
    with suppress(LogUnavailable):
        await anne.heartbeat()  # on the session that is gone

    assert (await anne.heartbeat()).is_alive(BERT)

    async with asyncio.timeout(LONG.total_seconds()):
        while (await anne.heartbeat()).is_alive(BERT):
            await anne.wait_for_notification(timedelta(milliseconds=10))


async def test_notification_during_a_heartbeat_is_not_lost(
    anne: PostgresMembership, operator: psycopg.AsyncConnection
) -> None:
    await anne.heartbeat()
    async with operator.transaction():
        await operator.execute("lock table node")  # the next beat waits behind it
        beating = asyncio.create_task(anne.heartbeat())
        await operator.execute("select pg_notify(%s, '')", (f"node_{ANNE.replace('-', '')}",))
    await beating

    assert await anne.wait_for_notification(LONG)
    assert not await anne.wait_for_notification(timedelta(milliseconds=1))


async def test_heartbeat_reports_messages_that_wait_for_the_node(
    anne: PostgresMembership, readers: ReaderPool
) -> None:
    inbox = PostgresInbox(readers)
    await anne.acquire([1], [])
    assert not (await anne.heartbeat()).has_messages

    messages = [
        Message(
            message_id=f"0000000{shard}-0000-4000-8000-00000000000a",
            shard_id=shard,
            sender=BERT,
            body=b"{}",
        )
        for shard in (1, 2)
    ]
    await inbox.send(messages[1])
    assert not (await anne.heartbeat()).has_messages

    await inbox.send(messages[0])
    assert (await anne.heartbeat()).has_messages

    await inbox.answer(messages[0], b"{}")
    assert not (await anne.heartbeat()).has_messages


async def test_heartbeat_is_one_statement(postgres_server: str, database_url: str) -> None:
    place, parts = parse_qs(urlsplit(postgres_server).query), urlsplit(database_url)
    with TcpProxy(f"{place['host'][0]}/.s.PGSQL.{place['port'][0]}").running() as wire:
        url = f"postgresql://{parts.username}@{wire.address}{parts.path}"
        readers = ReaderPool(url, LONG)
        far = PostgresMembership(url, readers, ANNE)
        await far.heartbeat()  # connects, and has it prepared
        before = wire.statements

        for _ in range(5):
            await far.heartbeat()

        assert wire.statements - before == 5
        await far.close()
        await readers.close()


async def test_a_node_that_has_just_been_started_judges_at_once(
    anne: PostgresMembership, bert: PostgresMembership, operator: psycopg.AsyncConnection
) -> None:
    await bert.heartbeat()
    await operator.execute(ALL_SESSIONS_END)
    await operator.execute(FALLS_SILENT, (BERT,))

    assert not (await anne.heartbeat()).is_alive(BERT)


async def test_undecided_row_of_a_dead_node_blocks_no_other_node(
    anne: PostgresMembership, database_url: str
) -> None:
    log = PostgresLog(database_url, owner=ANNE)
    await log.claim([1], recorded_at=NOON)
    name = f"node {BERT} writer"
    dead = await psycopg.AsyncConnection.connect(database_url, application_name=name)
    await dead.execute(UNDECIDED_ROW)

    await anne.acquire([1], [BERT])

    assert await log.claim([1], recorded_at=NOON) == {1: 2}
    with pytest.raises(psycopg.OperationalError):
        await dead.execute("select")
    await dead.close()
    await log.close()
