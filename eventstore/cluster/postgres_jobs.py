"""Jobs in PostgreSQL.

Requests of clients about jobs and the execution of jobs use different connections. Each shares them
with other statements and uses only a part of them (see `ReaderPool.part`): a slow list delays no
task, and tasks that wait for a lock delay no message between nodes.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from ..event import StreamId, shard_of
from ..postgres import ReaderPool, int4_array, uuid_array
from .jobs import MAX_TASKS_PER_READ, Job, JobTask, PendingJob, PendingTask

# Tasks recorded or deleted by one statement: some milliseconds each, whatever the size of a job.
TASKS_PER_STATEMENT: Final = 5_000
# The next prune goes on: the jobs of the node wait meanwhile, for some seconds at most.
MAX_TASKS_PER_PRUNE: Final = 100_000
MAX_JOBS_PER_PRUNE: Final = 1_000
_LOWEST: Final = "00000000-0000-0000-0000-000000000000"
_HIGHEST: Final = "ffffffff-ffff-ffff-ffff-ffffffffffff"


@dataclass(frozen=True, slots=True)
class _RefusedTaskRow:
    job_id: str
    stream_id: StreamId
    begun_at: datetime | None
    ended_at: datetime
    refusal: str


@dataclass(frozen=True, slots=True)
class _PrunableJob:
    job_id: str


class PostgresJobs:
    """Implements JobStore."""

    def __init__(self, *, clients: ReaderPool, node: ReaderPool) -> None:
        """`clients` are for requests of clients, `node` for the work of this node."""
        self._clients, self._node = clients, node

    async def add(self, job: Job, stream_ids: Sequence[StreamId]) -> Job:
        for tasks in _batches(job.job_id, stream_ids):
            await self._clients.execute("insert_job_tasks", tasks)
        row = {
            "job_id": job.job_id,
            "content": job.content,
            "content_version": job.content_version,
            "matched": job.matched,
            "started_at": job.started_at,
            "key": job.key,
            "digest": job.digest,
        }
        while await self._clients.execute("insert_job", row) == 0 and job.key is not None:
            # Another request with the key was faster. The tasks above have no job, and are pruned.
            if (earlier := await self.find(job.key)) is not None:
                return earlier
        return job

    async def find(self, key: str) -> Job | None:
        jobs = await self._clients.fetch(Job, "read_job_of_key", {"key": key})
        return jobs[0] if jobs else None

    async def pending_jobs(self, shard_ids: Collection[int]) -> Sequence[PendingJob]:
        wanted = {"shard_ids": int4_array(sorted(shard_ids))}
        return await self._node.fetch(PendingJob, "read_pending_jobs", wanted)

    async def pending(
        self, job_id: str, shard_ids: Collection[int], after: StreamId | None = None
    ) -> Sequence[PendingTask]:
        first = 0 if after is None else shard_of(after)
        shards = [shard_id for shard_id in sorted(shard_ids) if shard_id >= first]
        starts = [after if after and shard_id == first else _LOWEST for shard_id in shards]
        wanted = {
            "job_id": job_id,
            "shard_ids": int4_array(shards),
            "after": uuid_array(starts),
            "limit": MAX_TASKS_PER_READ,
        }
        return await self._node.fetch(PendingTask, "read_pending_tasks", wanted)

    async def begin(self, task: PendingTask, *, begun_at: datetime) -> bool:
        row = {**_key_of(task), "begun_at": begun_at}
        return await self._node.execute("begin_job_task", row) > 0

    async def end(self, task: PendingTask, refusal: str | None, *, ended_at: datetime) -> None:
        row = {**_key_of(task), "refusal": refusal, "ended_at": ended_at}
        await self._node.execute("end_job_task", row)

    async def finish(self, *, finished_at: datetime) -> None:
        await self._node.execute("finish_jobs", {"finished_at": finished_at})

    async def cancel(self, job_id: str, *, cancelled_by: str | None, finished_at: datetime) -> None:
        row = {"job_id": job_id, "cancelled_by": cancelled_by, "finished_at": finished_at}
        await self._clients.execute("cancel_job", row)

    async def get(self, job_id: str) -> Job | None:
        jobs = await self._clients.fetch(Job, "read_job", {"job_id": job_id})
        return jobs[0] if jobs else None

    async def newest(self, before: str | None, limit: int) -> Sequence[Job]:
        wanted = {"before": before or _HIGHEST, "limit": limit}
        return await self._clients.fetch(Job, "read_jobs", wanted)

    async def tasks(self, job_id: str, after: StreamId | None, limit: int) -> Sequence[JobTask]:
        wanted = {"job_id": job_id, "after": after or _LOWEST, "limit": limit}
        return await self._clients.fetch(JobTask, "read_job_tasks", wanted)

    async def refused_tasks(
        self, job_ids: Collection[str], after: StreamId | None, limit: int
    ) -> Mapping[str, Sequence[JobTask]]:
        wanted = {
            "job_ids": uuid_array(list(job_ids)),
            "after": after or _LOWEST,
            "limit": limit,
        }
        by_job: dict[str, list[JobTask]] = {job_id: [] for job_id in job_ids}
        for row in await self._clients.fetch(_RefusedTaskRow, "read_refused_tasks", wanted):
            by_job[row.job_id].append(
                JobTask(
                    stream_id=row.stream_id,
                    begun_at=row.begun_at,
                    ended_at=row.ended_at,
                    refusal=row.refusal,
                )
            )
        return by_job

    async def prune(self, *, finished_before: datetime, unknown_before: str) -> None:
        wanted = {
            "finished_before": finished_before,
            "before": unknown_before,
            "limit": MAX_JOBS_PER_PRUNE,
        }
        left = MAX_TASKS_PER_PRUNE
        for job in await self._node.fetch(_PrunableJob, "read_prunable_jobs", wanted):
            page = {"job_id": job.job_id, "limit": TASKS_PER_STATEMENT}
            while left > 0 and (deleted := await self._node.execute("delete_job_tasks", page)):
                left -= deleted
        await self._node.execute("delete_jobs", {"finished_before": finished_before})


def _batches(job_id: str, stream_ids: Sequence[StreamId]) -> Iterator[Mapping[str, object]]:
    for start in range(0, len(stream_ids), TASKS_PER_STATEMENT):
        batch = stream_ids[start : start + TASKS_PER_STATEMENT]
        yield {
            "job_id": job_id,
            "stream_ids": uuid_array(batch),
            "shard_ids": int4_array([shard_of(stream_id) for stream_id in batch]),
        }


def _key_of(task: PendingTask) -> Mapping[str, object]:
    # With the shard the key of the index on pending tasks is whole, as is the primary key: whatever
    # the planner believes of the table, it finds one row.
    stream_id = task.stream_id
    return {"job_id": task.job_id, "shard_id": shard_of(stream_id), "stream_id": stream_id}
