"""Commits that fail although their statements were executed."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable

import psycopg
import pytest
from saga_orchestrator.eventstore.cluster.inbox import Message
from saga_orchestrator.eventstore.cluster.postgres import PostgresInbox, PostgresMembership
from saga_orchestrator.eventstore.errors import (
    AppendRefused,
    ClaimFailed,
    LogUnavailable,
    ValueRefused,
)
from saga_orchestrator.eventstore.postgres.connection import Connector
from saga_orchestrator.eventstore.postgres.event_log import STATEMENT_TIMEOUT, PostgresLog
from saga_orchestrator.eventstore.postgres.prepared_connection import open_prepared_connection
from saga_orchestrator.eventstore.postgres.reader_pool import ReaderPool
from saga_orchestrator.tests.support.event_builders import NOON, make_event, make_stream_id
from saga_orchestrator.tests.support.failing_commits import LOST_CONNECTION, fail_commits, raising

NODE = "00000001-0000-4000-8000-000000000001"
PASSING = {
    "serialization failure": raising("40001"),
    "deadlock": raising("40P01"),
    "full disk": raising("53100"),
    "input/output error": raising("58030"),
    "cancelled": raising("57014"),
    "a trigger's own error": raising("P0001"),
    "lost connection": LOST_CONNECTION,
}
CERTAIN = {"check violation": raising("23514"), "foreign key": raising("23503")}

passing = pytest.mark.parametrize("failure", PASSING.values(), ids=PASSING.keys())
certain = pytest.mark.parametrize("failure", CERTAIN.values(), ids=CERTAIN.keys())


@pytest.fixture
async def log(database_url: str) -> AsyncIterator[PostgresLog]:
    log = PostgresLog(database_url)
    await log.claim([1], recorded_at=NOON)
    yield log
    await log.close()


@pytest.fixture
async def readers(database_url: str) -> AsyncIterator[ReaderPool]:
    readers = ReaderPool(database_url, STATEMENT_TIMEOUT, owner=NODE)
    yield readers
    await readers.close()


async def test_error_at_the_commit_raises_the_class_of_its_code_and_the_connection_stays_usable(
    database_url: str,
) -> None:
    line = await open_prepared_connection(Connector(database_url, "line"))
    await line.connection.execute(b"create table written (number integer)")
    fail_commits(database_url, "written", raising("40001"))

    with pytest.raises(psycopg.errors.SerializationFailure, match="failed at the commit"):
        await line.execute("write", b"insert into written values (1)", {})

    assert await line.execute("write", b"insert into written values (1)", {}) == 1
    await line.close()


@passing
async def test_an_append_whose_commit_fails_is_sent_again_and_lands_once(
    log: PostgresLog, database_url: str, failure: str
) -> None:
    fail_commits(database_url, "event", failure, times=2)

    (event,) = await log.append(make_stream_id(1), 0, [make_event()])

    assert list(await log.read_stream(make_stream_id(1))) == [event]


@certain
async def test_an_append_that_a_deferred_constraint_refuses_is_refused_alone(
    log: PostgresLog, database_url: str, failure: str
) -> None:
    fail_commits(database_url, "event", failure)

    with pytest.raises(AppendRefused, match="failed at the commit"):
        await log.append(make_stream_id(1), 0, [make_event()])

    assert len(await log.append(make_stream_id(1, 2), 0, [make_event()])) == 1


@passing
async def test_a_claim_whose_commit_fails_is_made_again(database_url: str, failure: str) -> None:
    log = PostgresLog(database_url)
    fail_commits(database_url, "event", failure)

    assert await log.claim([1], recorded_at=NOON) == {1: 1}
    await log.close()


@certain
async def test_a_claim_that_a_deferred_constraint_refuses_fails_and_the_next_is_served(
    database_url: str, failure: str
) -> None:
    log = PostgresLog(database_url)
    fail_commits(database_url, "event", failure)

    with pytest.raises(ClaimFailed, match="failed at the commit"):
        await log.claim([1], recorded_at=NOON)

    assert await log.claim([1], recorded_at=NOON) == {1: 1}
    await log.close()


async def _send(log: PostgresLog, readers: ReaderPool) -> None:
    message_id = "00000002-0000-4000-8000-00000000000a"
    message = Message(message_id=message_id, shard_id=1, sender=NODE, body=b"{}")
    inbox = PostgresInbox(readers)
    await inbox.send(message)
    assert list(await inbox.unanswered([1])) == [message]


async def _claim_key(log: PostgresLog, readers: ReaderPool) -> None:
    claim = await log.claim_key("k", digest=b"d", stream_id=make_stream_id(1), claimed_at=NOON)
    assert claim.digest == b"d"


async def _put_document(log: PostgresLog, readers: ReaderPool) -> None:
    await log.put_document("kind", "name", 1, b"content", put_at=NOON)
    assert await log.get_document("kind", "name", 1) is not None


async def _reserve(log: PostgresLog, readers: ReaderPool) -> None:
    membership = PostgresMembership("", readers, NODE)
    assert await membership.acquire([1], []) == [1]


WRITES: dict[str, Callable[[PostgresLog, ReaderPool], Awaitable[None]]] = {
    "message": _send,
    "stream_key": _claim_key,
    "document": _put_document,
    "shard_owner": _reserve,
}


@passing
@pytest.mark.parametrize("table", WRITES)
async def test_write_beside_the_log_succeeds_at_the_second_try(
    log: PostgresLog, readers: ReaderPool, database_url: str, table: str, failure: str
) -> None:
    fail_commits(database_url, table, failure)

    await WRITES[table](log, readers)


@passing
async def test_heartbeat_whose_commit_fails_is_recorded_by_the_next_one(
    readers: ReaderPool, database_url: str, failure: str
) -> None:
    membership = PostgresMembership(database_url, readers, NODE)
    fail_commits(database_url, "node", failure)

    with pytest.raises(LogUnavailable):
        await membership.heartbeat()

    assert (await membership.heartbeat()).staying_nodes == [NODE]
    await membership.close()


@certain
async def test_a_key_that_a_deferred_constraint_refuses_is_refused(
    log: PostgresLog, database_url: str, failure: str
) -> None:
    fail_commits(database_url, "stream_key", failure)

    with pytest.raises(ValueRefused, match="failed at the commit"):
        await log.claim_key("k", digest=b"d", stream_id=make_stream_id(1), claimed_at=NOON)
