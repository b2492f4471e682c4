"""The database goes back to an older state, as after a failover to a standby that was behind."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import psycopg
import pytest
from saga_orchestrator.eventstore.errors import ClaimFailed, Fenced, LogTruncated
from saga_orchestrator.eventstore.event import RecordedEvent
from saga_orchestrator.eventstore.hash_chain import find_broken_event
from saga_orchestrator.eventstore.postgres.event_log import PostgresLog
from saga_orchestrator.tests.support.event_builders import NOON, make_event, make_stream_id

TERMINATE_ALL_SESSIONS = "select pg_terminate_backend(pid) from pg_stat_activity where datname = %s"


class DatabaseCopies:
    """Copies of a database, which can go back to an earlier one."""

    def __init__(self, server_url: str, database_url: str) -> None:
        self._operator = psycopg.connect(server_url, autocommit=True)
        self._name = urlsplit(database_url).path.lstrip("/")

    def keep(self, name: str) -> None:
        """Copy the database as it is now."""
        self._leave_alone()
        self._do(f"create database {self._name}_{name} template {self._name}")

    def go_back_to(self, name: str) -> None:
        self._leave_alone()
        self._do(f"alter database {self._name} rename to {self._name}_gone")
        self._do(f"alter database {self._name}_{name} rename to {self._name}")

    def close(self) -> None:
        self._do(f"drop database if exists {self._name}_gone with (force)")
        self._operator.close()

    def _leave_alone(self) -> None:
        self._operator.execute(TERMINATE_ALL_SESSIONS, (self._name,))

    def _do(self, command: str) -> None:
        self._operator.execute(command.encode())


@pytest.fixture
async def log(database_url: str) -> AsyncIterator[PostgresLog]:
    log = PostgresLog(database_url)
    yield log
    await log.close()


@asynccontextmanager
async def copies(server_url: str, database_url: str) -> AsyncIterator[DatabaseCopies]:
    kept = DatabaseCopies(server_url, database_url)
    yield kept
    kept.close()


async def test_log_appends_nothing_behind_confirmed_events_that_are_missing(
    postgres_server: str, database_url: str, log: PostgresLog
) -> None:
    await log.claim([1, 2], recorded_at=NOON)
    async with copies(postgres_server, database_url) as kept:
        kept.keep("older")
        (confirmed,) = await log.append(make_stream_id(1), 0, [make_event()])
        kept.go_back_to("older")

        with pytest.raises(Fenced):
            await log.append(make_stream_id(1), 1, [make_event()])

        assert await types(log, 1) == ["ShardOwned"]
        assert isinstance(log.truncation, LogTruncated)
        assert (log.truncation.shard_id, log.truncation.seq) == (1, confirmed.seq)
        with pytest.raises(ClaimFailed, match="older state"):
            await log.claim([1], recorded_at=NOON)
        assert len(await log.append(make_stream_id(2), 0, [make_event()])) == 1


async def test_a_history_that_has_grown_again_is_recognised_as_another_one(
    postgres_server: str, database_url: str, log: PostgresLog
) -> None:
    await log.claim([1], recorded_at=NOON)
    async with copies(postgres_server, database_url) as kept:
        kept.keep("older")
        await log.append(make_stream_id(1), 0, [make_event()])
        kept.go_back_to("older")
        heir = PostgresLog(database_url)
        await heir.claim([1], recorded_at=NOON)
        await heir.append(make_stream_id(1, 2), 0, [make_event()])

        with pytest.raises(Fenced):
            await log.append(make_stream_id(1), 1, [make_event()])

        assert isinstance(log.truncation, LogTruncated)
        assert find_broken_event(await events(heir, 1)) is None
        assert heir.truncation is None
        await heir.close()


async def test_a_shard_that_was_released_is_not_taken_back_from_an_older_state(
    postgres_server: str, database_url: str, log: PostgresLog
) -> None:
    await log.claim([1], recorded_at=NOON)
    async with copies(postgres_server, database_url) as kept:
        kept.keep("older")
        await log.append(make_stream_id(1), 0, [make_event()])
        await log.release([1])
        kept.go_back_to("older")

        with pytest.raises(ClaimFailed, match="older state"):
            await log.claim([1], recorded_at=NOON)

        assert await types(log, 1) == ["ShardOwned"]


async def test_a_takeover_is_no_loss(database_url: str, log: PostgresLog) -> None:
    heir = PostgresLog(database_url)
    await log.claim([1], recorded_at=NOON)
    await heir.claim([1], recorded_at=NOON)

    with pytest.raises(Fenced):
        await log.append(make_stream_id(1), 0, [make_event()])

    assert log.truncation is None
    assert await log.claim([1], recorded_at=NOON) == {1: 3}
    await heir.close()


async def events(log: PostgresLog, shard_id: int) -> list[RecordedEvent]:
    return list(await log.read_shard(shard_id))


async def types(log: PostgresLog, shard_id: int) -> list[str]:
    return [event.type for event in await events(log, shard_id)]
