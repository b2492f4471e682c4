"""What every store of jobs promises, PostgreSQL, another database or memory."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Final

import pytest
from saga_orchestrator.eventstore.cluster.jobs import (
    MAX_TASKS_PER_READ,
    Job,
    JobStore,
    JobTask,
    PendingTask,
)
from saga_orchestrator.eventstore.cluster.memory_jobs import InMemoryJobs
from saga_orchestrator.eventstore.cluster.postgres_jobs import PostgresJobs
from saga_orchestrator.eventstore.event import SHARD_COUNT, StreamId
from saga_orchestrator.eventstore.postgres.reader_pool import ReaderPool
from saga_orchestrator.eventstore.postgres.statements import DatabaseMode

DATABASES: Final[Mapping[str, tuple[DatabaseMode, str]]] = {
    "postgres": ("postgresql", "database_url"),
    "portable": ("portable", "portable_database_url"),
}
NOON: Final = datetime(2026, 3, 1, 12, tzinfo=UTC)
LATER: Final = NOON + timedelta(hours=1)
ALL_SHARDS: Final = range(SHARD_COUNT)


@pytest.fixture(params=["memory", "postgres", "portable"])
async def store(request: pytest.FixtureRequest) -> AsyncIterator[JobStore]:
    if request.param == "memory":
        yield InMemoryJobs()
        return
    mode, database = DATABASES[request.param]
    readers = ReaderPool(request.getfixturevalue(database), timedelta(seconds=10), mode=mode)
    yield PostgresJobs(clients=readers, node=readers)
    await readers.close()


def job_of(number: int, matched: int) -> Job:
    job_id = f"{number:08x}-0000-7000-8000-00000000000a"
    return Job(job_id=job_id, content=b"{}", content_version=1, matched=matched, started_at=NOON)


def stream(number: int, shard_id: int = 0) -> StreamId:
    return StreamId(f"00000000-0000-7000-8000-{number:010x}{shard_id:02x}")


async def test_job_is_read_back_with_its_tasks(store: JobStore) -> None:
    job = job_of(1, 2)
    await store.add(job, [stream(2), stream(1)])

    assert await store.get(job.job_id) == job
    assert list(await store.tasks(job.job_id, None, 10)) == [
        JobTask(stream_id=stream(1)),
        JobTask(stream_id=stream(2)),
    ]


async def test_job_that_is_added_twice_is_there_once(store: JobStore) -> None:
    job = job_of(1, 1)
    await store.add(job, [stream(1)])
    await end_all(store, [(await only_pending(store), None)], ended_at=NOON)

    await store.add(job, [stream(1)])

    assert await pending_tasks(store) == []
    assert len(await store.newest(None, 10)) == 1


async def only_pending(store: JobStore) -> PendingTask:
    (task,) = await pending_tasks(store)
    return task


async def pending_tasks(
    store: JobStore, shard_ids: Collection[int] = ALL_SHARDS
) -> list[PendingTask]:
    """Return the first page of each job."""
    jobs = await store.pending_jobs(shard_ids)
    return [task for job in jobs for task in await store.pending(job.job_id, shard_ids)]


async def end_all(
    store: JobStore, outcomes: Sequence[tuple[PendingTask, str | None]], *, ended_at: datetime
) -> None:
    for task, refusal in outcomes:
        await store.end(task, refusal, ended_at=ended_at)


async def test_pending_tasks_are_those_of_the_given_shards_oldest_job_first(
    store: JobStore,
) -> None:
    await store.add(job_of(2, 2), [stream(1, 1), stream(2, 2)])
    await store.add(job_of(1, 1), [stream(3, 1)])

    tasks = await pending_tasks(store, [1, 5])

    assert [(task.job_id, task.stream_id) for task in tasks] == [
        (job_of(1, 1).job_id, stream(3, 1)),
        (job_of(2, 2).job_id, stream(1, 1)),
    ]
    assert {job.content for job in await store.pending_jobs([1, 5])} == {b"{}"}
    assert await store.pending_jobs([5]) == []


async def test_pending_tasks_come_in_pages_shard_after_shard(store: JobStore) -> None:
    sizes = {1: 3, 5: MAX_TASKS_PER_READ, 9: 2}
    streams = [stream(number, shard) for shard, size in sizes.items() for number in range(size)]
    elsewhere = [stream(number, 7) for number in range(3)]
    await store.add(job_of(1, len(streams) + 3), [*reversed(streams), *elsewhere])

    first = await pending_tasks(store, sizes)
    second = await store.pending(first[-1].job_id, sizes, first[-1].stream_id)

    assert [task.stream_id for task in (*first, *second)] == streams
    assert len(first) == MAX_TASKS_PER_READ
    assert list(await store.pending(first[-1].job_id, sizes, streams[-1])) == []


async def test_first_outcome_of_a_task_counts(store: JobStore) -> None:
    job = job_of(1, 1)
    await store.add(job, [stream(1)])
    task = await only_pending(store)

    await end_all(store, [(task, "no")], ended_at=NOON)
    await end_all(store, [(task, None)], ended_at=LATER)

    (ended,) = await store.tasks(job.job_id, None, 10)
    assert ended == JobTask(stream_id=stream(1), ended_at=NOON, refusal="no")
    assert await pending_tasks(store) == []


async def test_outcomes_are_counted_before_and_after_the_end(store: JobStore) -> None:
    job = job_of(1, 3)
    await store.add(job, [stream(number) for number in range(3)])
    first, second, third = await pending_tasks(store)

    await end_all(store, [(first, None), (second, "no")], ended_at=NOON)
    before = await store.get(job.job_id)
    await end_all(store, [(third, None)], ended_at=NOON)
    await store.finish(finished_at=LATER)

    assert before == replace(job, done=1, refused=1)
    assert await store.get(job.job_id) == replace(job, done=2, refused=1, finished_at=LATER)


async def test_refused_tasks_are_read_by_job_in_pages(store: JobStore) -> None:
    job, other, unharmed = job_of(1, 3), job_of(2, 1), job_of(3, 1)
    await store.add(job, [stream(number) for number in range(3)])
    await store.add(other, [stream(1)])
    await store.add(unharmed, [stream(1)])
    first, second, third, of_other, of_unharmed = await pending_tasks(store)
    outcomes = [(first, "no"), (second, None), (third, "never"), (of_other, "not")]
    await end_all(store, [*outcomes, (of_unharmed, None)], ended_at=NOON)
    jobs = [job.job_id, other.job_id, unharmed.job_id]

    page = await store.refused_tasks(jobs, None, 1)
    rest = await store.refused_tasks(jobs, page[job.job_id][-1].stream_id, 10)

    assert {job_id: list(tasks) for job_id, tasks in page.items()} == {
        job.job_id: [JobTask(stream_id=stream(0), ended_at=NOON, refusal="no")],
        other.job_id: [JobTask(stream_id=stream(1), ended_at=NOON, refusal="not")],
        unharmed.job_id: [],
    }
    assert [task.refusal for task in rest[job.job_id]] == ["never"]
    assert await store.refused_tasks([], None, 1) == {}


async def test_job_with_a_pending_task_does_not_finish(store: JobStore) -> None:
    job = job_of(1, 2)
    await store.add(job, [stream(1), stream(2)])
    await end_all(store, [((await pending_tasks(store))[0], None)], ended_at=NOON)

    await store.finish(finished_at=LATER)

    assert await store.get(job.job_id) == replace(job, done=1)


async def test_tasks_of_a_cancelled_job_are_not_pending(store: JobStore) -> None:
    job = job_of(1, 1)
    await store.add(job, [stream(1)])

    await store.cancel(job.job_id, cancelled_by="Ada", finished_at=NOON)
    await store.cancel(job.job_id, cancelled_by="Bob", finished_at=LATER)
    await store.finish(finished_at=LATER)

    assert await pending_tasks(store) == []
    cancelled = replace(job, finished_at=NOON, cancelled=True, cancelled_by="Ada")
    assert await store.get(job.job_id) == cancelled


async def test_task_that_was_begun_before_a_cancel_is_ended(store: JobStore) -> None:
    job = job_of(1, 2)
    await store.add(job, [stream(1), stream(2)])
    begun, left = await pending_tasks(store)
    assert await store.begin(begun, begun_at=NOON)
    await store.cancel(job.job_id, cancelled_by=None, finished_at=NOON)
    await store.finish(finished_at=LATER)

    assert not await store.begin(left, begun_at=LATER)
    assert await store.begin(begun, begun_at=LATER)
    assert await pending_tasks(store) == [begun]
    assert [task.is_left for task in await store.tasks(job.job_id, None, 10)] == [False, True]
    await store.end(begun, None, ended_at=LATER)
    await store.finish(finished_at=LATER)

    tasks = await store.tasks(job.job_id, None, 10)
    assert list(tasks) == [
        JobTask(stream_id=begun.stream_id, begun_at=NOON, ended_at=LATER),
        JobTask(stream_id=left.stream_id, is_left=True),
    ]
    assert await store.get(job.job_id) == replace(job, finished_at=NOON, cancelled=True, done=1)
    assert await pending_tasks(store) == []


async def test_finished_job_cannot_be_cancelled(store: JobStore) -> None:
    job = job_of(1, 0)
    await store.add(job, [])
    await store.finish(finished_at=NOON)

    await store.cancel(job.job_id, cancelled_by=None, finished_at=LATER)

    assert await store.get(job.job_id) == replace(job, finished_at=NOON)


async def test_newest_jobs_are_listed_in_pages(store: JobStore) -> None:
    for number in (1, 3, 2):
        await store.add(job_of(number, 0), [])

    first = await store.newest(None, 2)
    second = await store.newest(first[-1].job_id, 2)

    assert [list(first), list(second)] == [[job_of(3, 0), job_of(2, 0)], [job_of(1, 0)]]


async def test_unknown_job_has_no_tasks(store: JobStore) -> None:
    job_id = job_of(1, 0).job_id

    assert await store.get(job_id) is None
    assert list(await store.tasks(job_id, None, 10)) == []
    await store.cancel(job_id, cancelled_by=None, finished_at=NOON)


async def test_prune_deletes_jobs_that_finished_earlier(store: JobStore) -> None:
    old, new, running = job_of(1, 0), job_of(2, 0), job_of(3, 1)
    await store.add(old, [])
    await store.finish(finished_at=NOON)
    await store.add(new, [])
    await store.finish(finished_at=LATER)
    await store.add(running, [stream(1)])

    await store.prune(finished_before=LATER, unknown_before=job_of(9, 0).job_id)

    assert [job.job_id for job in await store.newest(None, 10)] == [running.job_id, new.job_id]
    assert len(await store.tasks(running.job_id, None, 10)) == 1


async def test_content_version_is_read_back(store: JobStore) -> None:
    job = replace(job_of(1, 1), content=b"\x00", content_version=7)
    await store.add(job, [stream(1)])

    (pending,) = await store.pending_jobs(ALL_SHARDS)

    assert await store.get(job.job_id) == job
    assert (pending.content, pending.content_version) == (b"\x00", 7)


async def test_job_is_found_by_its_key(store: JobStore) -> None:
    job = replace(job_of(1, 1), key="recall-7", digest=b"1")
    unkeyed, others = job_of(2, 0), replace(job_of(3, 0), key="recall-8", digest=b"1")

    added = [await store.add(each, [stream(1)]) for each in (job, unkeyed, others)]

    assert added == [job, unkeyed, others]
    assert await store.find("recall-7") == job
    assert await store.find("recall-9") is None


async def test_second_job_with_a_key_is_not_recorded(store: JobStore) -> None:
    job = replace(job_of(1, 1), key="recall-7", digest=b"1")
    await store.add(job, [stream(1)])
    await end_all(store, [(await only_pending(store), "no")], ended_at=NOON)

    second = replace(job_of(2, 2), key="recall-7", digest=b"2")
    recorded = await store.add(second, [stream(2), stream(3)])

    assert recorded == replace(job, refused=1)
    assert await store.get(second.job_id) is None
    assert list(await store.tasks(second.job_id, None, 10)) == []
    assert await pending_tasks(store) == []


async def test_key_of_requests_that_arrive_together_makes_one_job(store: JobStore) -> None:
    jobs = [replace(job_of(n, 1), key="recall-7", digest=b"1") for n in range(1, 9)]

    recorded = await asyncio.gather(*(store.add(job, [stream(1)]) for job in jobs))

    (job,) = await store.newest(None, 10)
    assert set(recorded) == {job}
    assert [task.job_id for task in await pending_tasks(store)] == [job.job_id]


async def test_prune_frees_the_key_of_a_job(store: JobStore) -> None:
    job = replace(job_of(1, 0), key="recall-7", digest=b"1")
    await store.add(job, [])
    await store.finish(finished_at=NOON)

    await store.prune(finished_before=LATER, unknown_before=job_of(9, 0).job_id)

    assert await store.find("recall-7") is None
