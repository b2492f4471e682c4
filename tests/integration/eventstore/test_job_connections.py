"""Jobs leave connections to the lists of sagas and to the messages between nodes."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import psycopg
import pytest
from saga_orchestrator.eventstore.cluster import inbox as inbox_module
from saga_orchestrator.eventstore.event import SHARD_COUNT
from saga_orchestrator.eventstore.postgres.reader_pool import MAX_CONNECTIONS
from saga_orchestrator.projections.listing import SagaFilter
from saga_orchestrator.settings import Settings
from saga_orchestrator.tests.integration.eventstore.test_inbox_pruning import (
    ANSWERED,
    COUNT,
    SENDER,
)
from saga_orchestrator.tests.integration.eventstore.test_outages import until
from saga_orchestrator.wiring import open_service

JOB_ID = "019ca945-0a00-7000-8000-000000000001"
ADD_TASKS = (
    "insert into job_task (job_id, stream_id, shard_id)"
    " select %s::uuid, ('019ca945-0a00-7000-9000-' || lpad(to_hex(n), 12, '0'))::uuid, n"
    " from generate_series(0, %s) n"
)
ADD_JOB = "insert into job (job_id, content, matched, started_at) values (%s, %s, %s, now())"
CONTENT = b'{"action":"pause","reason":"a fire","filter":{}}'
WAITING_FOR_LOCKS = (
    "select count(*) from pg_stat_activity where application_name like 'node % reader'"
    " and wait_event_type = 'Lock' and datname = current_database()"
)


async def test_jobs_that_wait_for_locks_delay_no_list_and_no_message(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inbox_module, "PRUNE_INTERVAL", timedelta(milliseconds=20))
    day = timedelta(days=1)
    with (
        psycopg.connect(database_url, autocommit=True) as operator,
        psycopg.connect(database_url) as another,
    ):
        operator.execute(ADD_TASKS, [JOB_ID, SHARD_COUNT - 1])
        another.execute("lock table job_task in share mode")
        operator.execute(ADD_JOB, [JOB_ID, CONTENT, SHARD_COUNT])
        another.execute("select 1 from job for update")

        async with open_service(Settings(database_url=database_url)) as state:
            clients = [
                asyncio.create_task(state["bulk"].cancel(JOB_ID))
                for _ in range(MAX_CONNECTIONS + 1)
            ]
            # Half of the connections of each sort.
            await until(lambda: operator.execute(WAITING_FOR_LOCKS).fetchone() == (4,))
            operator.execute(ANSWERED, [SHARD_COUNT, SENDER, day, day, 10])

            assert list(await state["listing"].page(SagaFilter(), None, 10)) == []
            await until(lambda: operator.execute(COUNT).fetchone() == (0,))

            assert not any(client.done() for client in clients)
            another.rollback()
            jobs = await asyncio.gather(*clients)

    assert {job.status for job in jobs} == {"cancelled"}
