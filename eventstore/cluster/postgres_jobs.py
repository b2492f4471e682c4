"""Jobs in PostgreSQL."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Final

from ..event import StreamId, shard_of
from ..postgres import ReaderPool, int4_array, uuid_array
from .jobs import MAX_TASKS_PER_READ, Job, JobTask, PendingJob, PendingTask

# Tasks recorded or deleted by one statement: some milliseconds each, whatever the size of a job.
TASKS_PER_STATEMENT: Final = 5_000
_LOWEST: Final = "00000000-0000-0000-0000-000000000000"
_HIGHEST: Final = "ffffffff-ffff-ffff-ffff-ffffffffffff"


class PostgresJobs:
    """Implements JobStore."""

    def __init__(self, readers: ReaderPool) -> None:
        self._readers = readers

    async def add(self, job: Job, stream_ids: Sequence[StreamId]) -> None:
        for start in range(0, len(stream_ids), TASKS_PER_STATEMENT):
            some = stream_ids[start : start + TASKS_PER_STATEMENT]
            tasks = {
                "job_id": job.job_id,
                "stream_ids": uuid_array(some),
                "shard_ids": int4_array([shard_of(stream_id) for stream_id in some]),
            }
            await self._readers.execute("insert_job_tasks", tasks)
        row = {
            "job_id": job.job_id,
            "content": job.content,
            "matched": job.matched,
            "started_at": job.started_at,
        }
        await self._readers.execute("insert_job", row)

    async def pending_jobs(self, shard_ids: Collection[int]) -> Sequence[PendingJob]:
        wanted = {"shard_ids": int4_array(sorted(shard_ids))}
        return await self._readers.fetch(PendingJob, "read_pending_jobs", wanted)

    async def pending(
        self, job_id: str, shard_ids: Collection[int], after: StreamId | None = None
    ) -> Sequence[PendingTask]:
        wanted = {
            "job_id": job_id,
            "shard_ids": int4_array(sorted(shard_ids)),
            "after": after or _LOWEST,
            "limit": MAX_TASKS_PER_READ,
        }
        return await self._readers.fetch(PendingTask, "read_pending_tasks", wanted)

    async def begin(self, task: PendingTask, *, begun_at: datetime) -> bool:
        row = {"job_id": task.job_id, "stream_id": task.stream_id, "begun_at": begun_at}
        return await self._readers.execute("begin_job_task", row) > 0

    async def end(self, task: PendingTask, refusal: str | None, *, ended_at: datetime) -> None:
        row = {
            "job_id": task.job_id,
            "stream_id": task.stream_id,
            "refusal": refusal,
            "ended_at": ended_at,
        }
        await self._readers.execute("end_job_task", row)

    async def finish(self, *, finished_at: datetime) -> None:
        await self._readers.execute("finish_jobs", {"finished_at": finished_at})

    async def cancel(self, job_id: str, *, cancelled_by: str | None, finished_at: datetime) -> None:
        row = {"job_id": job_id, "cancelled_by": cancelled_by, "finished_at": finished_at}
        await self._readers.execute("cancel_job", row)

    async def get(self, job_id: str) -> Job | None:
        jobs = await self._readers.fetch(Job, "read_job", {"job_id": job_id})
        return jobs[0] if jobs else None

    async def newest(self, before: str | None, limit: int) -> Sequence[Job]:
        wanted = {"before": before or _HIGHEST, "limit": limit}
        return await self._readers.fetch(Job, "read_jobs", wanted)

    async def tasks(
        self, job_id: str, after: StreamId | None, limit: int, *, refused: bool = False
    ) -> Sequence[JobTask]:
        wanted = {"job_id": job_id, "after": after or _LOWEST, "limit": limit, "refused": refused}
        return await self._readers.fetch(JobTask, "read_job_tasks", wanted)

    async def prune(self, *, finished_before: datetime, unknown_before: str) -> None:
        before = {"finished_before": finished_before}
        wanted = {**before, "before": unknown_before, "limit": TASKS_PER_STATEMENT}
        while await self._readers.execute("delete_job_tasks", wanted) == TASKS_PER_STATEMENT:
            pass
        await self._readers.execute("delete_jobs", before)
