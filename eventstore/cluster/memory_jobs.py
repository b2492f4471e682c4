"""Jobs in memory: the same promises without a database, for simulations and tests."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from ..event import StreamId, shard_of
from .jobs import MAX_TASKS_PER_READ, Job, JobTask, PendingJob, PendingTask


@dataclass(slots=True)
class InMemoryJobs:
    """Implements JobStore."""

    jobs: dict[str, Job] = field(default_factory=dict)
    by_job: dict[str, dict[StreamId, JobTask]] = field(default_factory=dict)

    async def add(self, job: Job, stream_ids: Sequence[StreamId]) -> Job:
        if job.key is not None and (earlier := await self.find(job.key)) is not None:
            return earlier
        self.jobs.setdefault(job.job_id, job)
        tasks = {stream_id: JobTask(stream_id=stream_id) for stream_id in sorted(stream_ids)}
        self.by_job.setdefault(job.job_id, tasks)
        return job

    async def find(self, key: str) -> Job | None:
        jobs = [job for job in self.jobs.values() if job.key == key]
        return self._counted(jobs[0]) if jobs else None

    async def pending_jobs(self, shard_ids: Collection[int]) -> Sequence[PendingJob]:
        return [
            PendingJob(job_id=job_id, content=job.content, content_version=job.content_version)
            for job_id, job in sorted(self.jobs.items())
            if any(shard_of(task.stream_id) in shard_ids for task in self._pending(job))
        ]

    async def pending(
        self, job_id: str, shard_ids: Collection[int], after: StreamId | None = None
    ) -> Sequence[PendingTask]:
        owned = [
            task.stream_id
            for task in self._pending(self.jobs[job_id])
            if shard_of(task.stream_id) in shard_ids
            and (after is None or _place(task.stream_id) > _place(after))
        ]
        page = sorted(owned, key=_place)[:MAX_TASKS_PER_READ]
        return [PendingTask(job_id=job_id, stream_id=stream_id) for stream_id in page]

    def _pending(self, job: Job) -> list[JobTask]:
        return [
            task
            for task in self.by_job[job.job_id].values()
            if task.ended_at is None and (job.finished_at is None or task.begun_at is not None)
        ]

    async def begin(self, task: PendingTask, *, begun_at: datetime) -> bool:
        tasks = self.by_job[task.job_id]
        known = tasks[task.stream_id]
        if known not in self._pending(self.jobs[task.job_id]):
            return False
        tasks[task.stream_id] = replace(known, begun_at=known.begun_at or begun_at)
        return True

    async def end(self, task: PendingTask, refusal: str | None, *, ended_at: datetime) -> None:
        tasks = self.by_job[task.job_id]
        if (known := tasks[task.stream_id]).ended_at is None:
            tasks[task.stream_id] = replace(known, ended_at=ended_at, refusal=refusal)

    async def finish(self, *, finished_at: datetime) -> None:
        for job_id, job in self.jobs.items():
            if job.finished_at is None and not self._pending(job):
                self.jobs[job_id] = replace(job, finished_at=finished_at)

    async def cancel(self, job_id: str, *, cancelled_by: str | None, finished_at: datetime) -> None:
        job = self.jobs.get(job_id)
        if job is not None and job.finished_at is None:
            self.jobs[job_id] = replace(
                job, finished_at=finished_at, cancelled=True, cancelled_by=cancelled_by
            )

    async def get(self, job_id: str) -> Job | None:
        return self._counted(self.jobs[job_id]) if job_id in self.jobs else None

    async def newest(self, before: str | None, limit: int) -> Sequence[Job]:
        job_ids = sorted(self.jobs, reverse=True)
        page = [job_id for job_id in job_ids if before is None or job_id < before][:limit]
        return [self._counted(self.jobs[job_id]) for job_id in page]

    async def tasks(self, job_id: str, after: StreamId | None, limit: int) -> Sequence[JobTask]:
        if (job := self.jobs.get(job_id)) is None:
            return []
        return [
            replace(task, is_left=job.cancelled and task.begun_at is None and task.ended_at is None)
            for task in self.by_job[job_id].values()
            if after is None or task.stream_id > after
        ][:limit]

    async def refused_tasks(
        self, job_ids: Collection[str], after: StreamId | None, limit: int
    ) -> Mapping[str, Sequence[JobTask]]:
        return {
            job_id: [
                task
                for task in self.by_job.get(job_id, {}).values()
                if task.refusal is not None and (after is None or task.stream_id > after)
            ][:limit]
            for job_id in job_ids
        }

    async def prune(self, *, finished_before: datetime, unknown_before: str) -> None:
        for job_id, job in list(self.jobs.items()):
            if job.finished_at is not None and job.finished_at < finished_before:
                del self.jobs[job_id], self.by_job[job_id]

    def _counted(self, job: Job) -> Job:
        ended = [task for task in self.by_job[job.job_id].values() if task.ended_at is not None]
        refused = sum(task.refusal is not None for task in ended)
        return replace(job, done=len(ended) - refused, refused=refused)


def _place(stream_id: StreamId) -> tuple[int, StreamId]:
    return shard_of(stream_id), stream_id
