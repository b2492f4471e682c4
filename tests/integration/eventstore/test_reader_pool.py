"""Which readers wait for which connections."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import psycopg
import pytest
from saga_orchestrator.eventstore.errors import LogUnavailable
from saga_orchestrator.eventstore.event_log import KeyClaim
from saga_orchestrator.eventstore.postgres import reader_pool as readers
from saga_orchestrator.eventstore.postgres.event_log import PostgresLog
from saga_orchestrator.eventstore.postgres.reader_pool import MAX_CONNECTIONS
from saga_orchestrator.tests.support.event_builders import NOON, make_stream_id

CLIENTS_WAIT = timedelta(seconds=5)  # the least that HTTP clients do by default: httpx's
CLAIM = b"insert into stream_key values ('order-1', '\\x00', gen_random_uuid(), now())"
HELD_UP = (
    b"select count(*) from pg_stat_activity where application_name like 'node % reader'"
    b" and wait_event_type = 'Lock' and datname = current_database()"
)


@pytest.fixture
async def log(database_url: str) -> AsyncIterator[PostgresLog]:
    log = PostgresLog(database_url)
    yield log
    await log.close()


async def test_a_node_takes_shards_up_though_clients_hold_every_connection(
    log: PostgresLog, database_url: str
) -> None:
    connecting = psycopg.AsyncConnection.connect
    async with (
        await connecting(database_url) as other,
        await connecting(database_url, autocommit=True) as operator,
    ):
        await other.execute(CLAIM)
        clients = [asyncio.create_task(claimed(log)) for _ in range(MAX_CONNECTIONS + 1)]
        while await count(operator, HELD_UP) < MAX_CONNECTIONS:
            pass

        shard = await log.read_shard(1)
        streams = await log.read_streams([make_stream_id(1)])

        assert (list(shard), list(streams)) == ([], [])
        assert not any(client.done() for client in clients)
        await other.rollback()
        await asyncio.gather(*clients)


async def claimed(log: PostgresLog) -> KeyClaim:
    return await log.claim_key("order-1", digest=b"0", stream_id=make_stream_id(1), claimed_at=NOON)


async def count(operator: psycopg.AsyncConnection, query: bytes) -> int:
    ((found,),) = await (await operator.execute(query)).fetchall()
    return int(found)


async def test_wait_for_a_connection_is_shorter_than_clients_wait(
    log: PostgresLog, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert readers.ACQUIRE_TIMEOUT < CLIENTS_WAIT
    monkeypatch.setattr(readers, "ACQUIRE_TIMEOUT", timedelta(milliseconds=50))
    connecting = psycopg.AsyncConnection.connect
    async with (
        await connecting(database_url) as other,
        await connecting(database_url, autocommit=True) as operator,
    ):
        await other.execute(CLAIM)
        clients = [asyncio.create_task(claimed(log)) for _ in range(MAX_CONNECTIONS)]
        while await count(operator, HELD_UP) < MAX_CONNECTIONS:
            pass

        with pytest.raises(LogUnavailable, match="every connection is busy"):
            await claimed(log)

        await other.rollback()
        await asyncio.gather(*clients)
