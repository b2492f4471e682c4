"""Connections that are lost on the side of the client alone.

The server keeps their sessions, and with them locks and rows that the client needs again.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

import psycopg
import pytest
from saga_orchestrator.eventstore.cluster import postgres as postgres_membership
from saga_orchestrator.eventstore.cluster.membership import ClusterView
from saga_orchestrator.eventstore.cluster.postgres import PostgresMembership
from saga_orchestrator.eventstore.errors import LogUnavailable
from saga_orchestrator.eventstore.postgres.connection import connect
from saga_orchestrator.eventstore.postgres.event_log import PostgresLog
from saga_orchestrator.eventstore.postgres.reader_pool import ReaderPool
from saga_orchestrator.eventstore.postgres.statements import statement
from saga_orchestrator.tests.support.event_builders import NOON, make_event, make_stream_id
from saga_orchestrator.tests.support.tcp_proxy import HalfOpen, LostPart, TcpProxy

ANNE, BERT = (f"0000000{n}-0000-4000-8000-00000000000{n}" for n in (1, 2))
SOON = timedelta(seconds=10)
CUT_AFTER = timedelta(milliseconds=300)


@pytest.fixture
def wire(postgres_server: str) -> Iterator[TcpProxy]:
    place = parse_qs(urlsplit(postgres_server).query)
    with TcpProxy(f"{place['host'][0]}/.s.PGSQL.{place['port'][0]}").running() as wire:
        yield wire


@pytest.fixture
def far_url(wire: TcpProxy, database_url: str) -> str:
    """Return the URL of the database behind the proxy."""
    parts = urlsplit(database_url)
    return f"postgresql://{parts.username}@{wire.address}{parts.path}"


@pytest.fixture
async def readers(far_url: str) -> AsyncIterator[ReaderPool]:
    readers = ReaderPool(far_url, CUT_AFTER)
    yield readers
    await readers.close()


async def heartbeat_after_reconnect(membership: PostgresMembership) -> ClusterView:
    while True:
        with suppress(LogUnavailable):
            return await membership.heartbeat()


@pytest.mark.parametrize("seen", HalfOpen)
async def test_nodes_whose_sessions_are_left_behind_send_heartbeats_again(
    wire: TcpProxy,
    far_url: str,
    readers: ReaderPool,
    seen: HalfOpen,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(postgres_membership, "HEARTBEAT_STATEMENT_TIMEOUT", CUT_AFTER)
    nodes = [PostgresMembership(far_url, readers, node_id) for node_id in (ANNE, BERT)]
    for node in nodes:
        await node.heartbeat()

    wire.leave_half_open(seen)

    async with asyncio.timeout(SOON.total_seconds()):
        rosters = await asyncio.gather(*map(heartbeat_after_reconnect, nodes))
    assert rosters[-1].staying_nodes == [ANNE, BERT]
    for node in nodes:
        await node.close()


async def test_an_append_whose_last_bytes_are_lost_lands_once(wire: TcpProxy, far_url: str) -> None:
    log = PostgresLog(far_url, statement_timeout=CUT_AFTER)
    await log.claim([1], recorded_at=NOON)

    with wire.lose_message(LostPart.END, "Happened"):
        async with asyncio.timeout(SOON.total_seconds()):
            (event,) = await log.append(make_stream_id(1), 0, [make_event("Happened")])

    assert list(await log.read_stream(make_stream_id(1))) == [event]
    await log.close()


async def test_a_key_whose_last_bytes_are_lost_is_claimed_at_the_next_try(
    wire: TcpProxy, far_url: str
) -> None:
    log = PostgresLog(far_url, statement_timeout=CUT_AFTER)

    with wire.lose_message(LostPart.END, "order-of-anne"):
        claim = await log.claim_key(
            "order-of-anne", digest=b"d", stream_id=make_stream_id(1), claimed_at=NOON
        )

    assert claim.digest == b"d"
    await log.close()


async def test_a_session_that_has_been_given_the_process_id_of_a_lost_one_is_left_alone(
    database_url: str,
) -> None:
    connecting = psycopg.AsyncConnection.connect(database_url, autocommit=True)
    async with await connecting as other, await connect(database_url, "ours") as ours:
        lost = {"pids": [other.info.backend_pid], "started": ["1788000000.123456"]}

        await ours.execute(statement("end_lost_sessions"), lost)

        await other.execute(b"select")
