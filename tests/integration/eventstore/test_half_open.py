"""Connections that are lost on this side alone: the server keeps their sessions, and what these
hold is needed again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

import psycopg
import pytest
from saga_orchestrator.eventstore import (
    LogUnavailable,
    PostgresLog,
    PostgresMembership,
    Readers,
    Roster,
    postgres_membership,
)
from saga_orchestrator.eventstore.connection import connect
from saga_orchestrator.eventstore.statements import statement
from saga_orchestrator.tests.acceptance.reliability.wire import HalfOpen, Lost, Wire
from saga_orchestrator.tests.event_builders import NOON, a_stream, an_event

ANNE, BERT = (f"0000000{n}-0000-4000-8000-00000000000{n}" for n in (1, 2))
SOON = timedelta(seconds=10)
CUT_AFTER = timedelta(milliseconds=300)


@pytest.fixture
def wire(postgres_server: str) -> Iterator[Wire]:
    place = parse_qs(urlsplit(postgres_server).query)
    with Wire(f"{place['host'][0]}/.s.PGSQL.{place['port'][0]}").running() as wire:
        yield wire


@pytest.fixture
def far_url(wire: Wire, database_url: str) -> str:
    """The database at the end of the wire."""
    parts = urlsplit(database_url)
    return f"postgresql://{parts.username}@{wire.address}{parts.path}"


@pytest.fixture
async def readers(far_url: str) -> AsyncIterator[Readers]:
    readers = Readers(far_url, CUT_AFTER)
    yield readers
    await readers.close()


async def beats_again(membership: PostgresMembership) -> Roster:
    while True:
        with suppress(LogUnavailable):
            return await membership.beat()


@pytest.mark.parametrize("seen", HalfOpen)
async def test_nodes_whose_sessions_are_left_behind_beat_again(
    wire: Wire, far_url: str, readers: Readers, seen: HalfOpen, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres_membership, "STATEMENT_TIMEOUT", CUT_AFTER)
    nodes = [PostgresMembership(far_url, readers, one) for one in (ANNE, BERT)]
    for one in nodes:
        await one.beat()

    wire.leave_half_open(seen)

    async with asyncio.timeout(SOON.total_seconds()):
        rosters = await asyncio.gather(*map(beats_again, nodes))
    assert rosters[-1].staying == [ANNE, BERT]
    for one in nodes:
        await one.close()


async def test_an_append_whose_last_bytes_are_lost_lands_once(wire: Wire, far_url: str) -> None:
    log = PostgresLog(far_url, statement_timeout=CUT_AFTER)
    await log.claim([1], recorded_at=NOON)

    with wire.losing(Lost.END, "Happened"):
        async with asyncio.timeout(SOON.total_seconds()):
            (event,) = await log.append(a_stream(1), 0, [an_event("Happened")])

    assert list(await log.read_stream(a_stream(1))) == [event]
    await log.close()


async def test_a_key_whose_last_bytes_are_lost_is_claimed_at_the_next_try(
    wire: Wire, far_url: str
) -> None:
    log = PostgresLog(far_url, statement_timeout=CUT_AFTER)

    with wire.losing(Lost.END, "order-of-anne"):
        claim = await log.claim_key(
            "order-of-anne", digest=b"d", stream_id=a_stream(1), claimed_at=NOON
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
