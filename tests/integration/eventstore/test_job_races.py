"""Tasks that are begun while their job is cancelled, on two connections of the database."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

import psycopg
import pytest
from saga_orchestrator.eventstore.cluster.jobs import Job, PendingTask
from saga_orchestrator.eventstore.cluster.postgres_jobs import PostgresJobs
from saga_orchestrator.eventstore.event import StreamId, shard_of
from saga_orchestrator.eventstore.postgres.reader_pool import ReaderPool
from saga_orchestrator.eventstore.postgres.statements import DatabaseMode, statement
from saga_orchestrator.tests.integration.eventstore.test_outages import until

DATABASES: Final[Mapping[DatabaseMode, str]] = {
    "postgresql": "database_url",
    "portable": "portable_database_url",
}
NOON: Final = datetime(2026, 3, 1, 12, tzinfo=UTC)
LATER: Final = NOON + timedelta(hours=1)
JOB_ID: Final = "00000001-0000-7000-8000-00000000000a"
TASK: Final = PendingTask(job_id=JOB_ID, stream_id=StreamId("00000000-0000-7000-8000-000000000105"))
JOB: Final = Job(job_id=JOB_ID, content=b"{}", content_version=1, matched=1, started_at=NOON)
SHARDS: Final = [shard_of(TASK.stream_id)]
BEGIN: Final[Mapping[str, object]] = {
    "job_id": JOB_ID, "shard_id": SHARDS[0], "stream_id": TASK.stream_id, "begun_at": NOON
}  # fmt: skip
CANCEL: Final[Mapping[str, object]] = {
    "job_id": JOB_ID, "cancelled_by": None, "finished_at": NOON
}  # fmt: skip
STATEMENTS_THAT_WAIT: Final = (
    "select count(*) from pg_stat_activity where application_name like 'node % reader'"
    " and wait_event_type = 'Lock'"
)


@dataclass(frozen=True, slots=True)
class Race:
    """A job with one task, a transaction that a test leaves open, and an observer of locks."""

    store: PostgresJobs
    transaction: psycopg.Connection[tuple[object, ...]]
    operator: psycopg.Connection[tuple[object, ...]]

    async def wait_for(self, statements: asyncio.Task[object]) -> None:
        """Wait until `statements` are executed, or wait for the open transaction."""
        query = STATEMENTS_THAT_WAIT.encode()
        await until(lambda: statements.done() or self.operator.execute(query).fetchone() == (1,))


@pytest.fixture(params=list(DATABASES))
async def race(request: pytest.FixtureRequest, postgres_server: str) -> AsyncIterator[Race]:
    url = request.getfixturevalue(DATABASES[request.param])
    readers = ReaderPool(url, timedelta(seconds=10), mode=request.param)
    store = PostgresJobs(clients=readers, node=readers)
    await store.add(JOB, [TASK.stream_id])
    with (
        psycopg.connect(url) as transaction,
        psycopg.connect(postgres_server, autocommit=True) as operator,
    ):
        yield Race(store, transaction, operator)
    await readers.close()


async def test_task_begun_while_its_job_is_cancelled_is_ended_and_counted(race: Race) -> None:
    async def cancel_and_finish() -> None:
        await race.store.cancel(JOB_ID, cancelled_by=None, finished_at=NOON)
        await race.store.finish(finished_at=LATER)

    race.transaction.execute(statement("begin_job_task"), BEGIN)
    cancelling = asyncio.create_task(cancel_and_finish())
    await race.wait_for(cancelling)
    race.transaction.commit()
    await cancelling

    assert list(await race.store.pending(JOB_ID, SHARDS)) == [TASK]
    assert [job.job_id for job in await race.store.pending_jobs(SHARDS)] == [JOB_ID]
    await race.store.end(TASK, None, ended_at=LATER)
    await race.store.finish(finished_at=LATER)
    job = await race.store.get(JOB_ID)
    assert job is not None
    assert (job.cancelled, job.done, job.refused) == (True, 1, 0)


async def test_begin_that_waits_for_a_cancel_begins_nothing(race: Race) -> None:
    race.transaction.execute(statement("cancel_job"), CANCEL)
    beginning = asyncio.create_task(race.store.begin(TASK, begun_at=NOON))
    await race.wait_for(beginning)
    race.transaction.commit()

    assert not await beginning
    assert [task.is_left for task in await race.store.tasks(JOB_ID, None, 10)] == [True]
