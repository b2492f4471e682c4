"""A database that refuses statements until a person changes something.

Nothing is lost, and the refusal says what to change.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import psycopg
import pytest
from saga_orchestrator.eventstore.errors import LogUnavailable
from saga_orchestrator.eventstore.postgres.event_log import PostgresLog
from saga_orchestrator.eventstore.postgres.refusals import Refusals
from saga_orchestrator.tests.support.event_builders import NOON, make_event, make_stream_id

# How a table of the service is spoilt and mended, and what the operator reads.
DAMAGES = {
    "the table is missing": (
        "alter table {0} rename to away",
        "alter table away rename to {0}",
        "search_path",
    ),
    "the table is another one": (
        "alter table {0} rename to away; create view {0} as select 1 as one",
        "drop view {0}; alter table away rename to {0}",
        "search_path",
    ),
    "a trigger refuses": (
        "create function no() returns trigger language plpgsql as"
        " $$begin raise exception 'no'; end$$;"
        " create trigger no before insert on {0} for each row execute function no()",
        "drop trigger no on {0}",
        "remove it",
    ),
    "the system does not support it": (
        "create function no() returns trigger language plpgsql as"
        " $$begin raise exception 'no' using errcode = '0A000'; end$$;"
        " create trigger no before insert on {0} for each row execute function no()",
        "drop trigger no on {0}",
        "portable mode",
    ),
}
spoilt = pytest.mark.parametrize(("spoil", "mend", "what"), DAMAGES.values(), ids=DAMAGES.keys())


@pytest.fixture
def refusals() -> Refusals:
    return Refusals()


@pytest.fixture
async def log(database_url: str, refusals: Refusals) -> AsyncIterator[PostgresLog]:
    log = PostgresLog(database_url, refusals=refusals)
    await log.claim([1], recorded_at=NOON)
    yield log
    await log.close()


@pytest.fixture
async def operator(database_url: str) -> AsyncIterator[psycopg.AsyncConnection]:
    connection = await psycopg.AsyncConnection.connect(database_url, autocommit=True)
    yield connection
    await connection.close()


async def turn_of_the_loop() -> None:
    await asyncio.sleep(0)


@spoilt
async def test_refused_append_waits_and_is_reported_until_the_cause_is_removed(
    log: PostgresLog,
    refusals: Refusals,
    operator: psycopg.AsyncConnection,
    spoil: str,
    mend: str,
    what: str,
) -> None:
    await operator.execute(spoil.format("event").encode())

    appending = asyncio.ensure_future(log.append(make_stream_id(1), 0, [make_event()]))
    async with asyncio.timeout(10):
        while not list(refusals):
            await turn_of_the_loop()
    assert all(what in refusal for refusal in refusals)
    await operator.execute(mend.format("event").encode())

    assert len(await appending) == 1
    assert list(refusals) == []


@spoilt
async def test_refused_key_is_claimed_once_the_cause_is_removed(
    log: PostgresLog,
    refusals: Refusals,
    operator: psycopg.AsyncConnection,
    spoil: str,
    mend: str,
    what: str,
) -> None:
    await operator.execute(spoil.format("stream_key").encode())

    with pytest.raises(LogUnavailable, match=what):
        await log.claim_key("k", digest=b"d", stream_id=make_stream_id(1), claimed_at=NOON)
    assert any(what in refusal for refusal in refusals)
    await operator.execute(mend.format("stream_key").encode())

    await log.claim_key("k", digest=b"d", stream_id=make_stream_id(1), claimed_at=NOON)
    assert list(refusals) == []
