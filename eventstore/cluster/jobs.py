"""Jobs: one task for many streams, divided among the nodes by shard.

    add ──> pending ──> begun ──> ended (done, or refused and why)
                └────── cancel: tasks that are not begun are dropped

A job and all its tasks are recorded before the first is executed. The owner of a shard executes the
pending tasks of that shard, and records their outcomes; after a crash the next owner continues with
those that have no outcome. So a task is executed twice if a crash comes between its execution and
the record of its outcome: the executing node must recognise what it has done. The first outcome
that is recorded counts.

A job may have the key of the request that made it: there is one job of a key, and a repeated
request gets that one.

The request of a job is opaque here; the version of this content tells a node whether it can read
it. Two implementations exist, PostgreSQL and memory, and one contract suite holds for both.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Protocol

from ..event import StreamId

MAX_TASKS_PER_READ: Final = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A job as it is now, with the numbers of its tasks: all, done and refused ones.

    `digest` is that of the request that used the `key`.
    """

    job_id: str
    content: bytes
    content_version: int
    matched: int
    started_at: datetime
    finished_at: datetime | None = None
    cancelled: bool = False
    cancelled_by: str | None = None
    done: int = 0
    refused: int = 0
    key: str | None = None
    digest: bytes | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PendingJob:
    """A job with pending tasks."""

    job_id: str
    content: bytes
    content_version: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PendingTask:
    """A task that has no outcome yet."""

    job_id: str
    stream_id: StreamId


@dataclass(frozen=True, slots=True, kw_only=True)
class JobTask:
    """A task of a job. It is pending without `ended_at`, and done without a `refusal`.

    `is_left`: its job was cancelled before it was begun.
    """

    stream_id: StreamId
    begun_at: datetime | None = None
    ended_at: datetime | None = None
    refusal: str | None = None
    is_left: bool = False


class JobStore(Protocol):
    """Keeps jobs and their tasks durably. Every method is safe to repeat.

    Ids of jobs are UUIDs that begin with their time. All methods raise LogUnavailable if the
    database does not answer, and ValueRefused for an id that is no UUID.
    """

    async def add(self, job: Job, stream_ids: Sequence[StreamId]) -> Job:
        """Record a job with a task for each stream; its tasks are pending once it returns.

        Return it, or the job that has its key already: then nothing is recorded.
        """

    async def find(self, key: str) -> Job | None:
        """Return the job that a key has made, or None."""

    async def pending_jobs(self, shard_ids: Collection[int]) -> Sequence[PendingJob]:
        """Return the jobs with pending tasks in these shards, the oldest first."""

    async def pending(
        self, job_id: str, shard_ids: Collection[int], after: StreamId | None = None
    ) -> Sequence[PendingTask]:
        """Return a page of the pending tasks of a job in these shards, shard after shard.

        `after` is the last one of the page before; the page after the last one is empty.
        """

    async def begin(self, task: PendingTask, *, begun_at: datetime) -> bool:
        """Record that a task is begun; return False if its job was cancelled before."""

    async def end(self, task: PendingTask, refusal: str | None, *, ended_at: datetime) -> None:
        """Record the outcome of a task: None for done, or why it was refused."""

    async def finish(self, *, finished_at: datetime) -> None:
        """Finish the jobs that have no pending task."""

    async def cancel(self, job_id: str, *, cancelled_by: str | None, finished_at: datetime) -> None:
        """Finish a job except for the tasks that are begun; a finished job stays as it is."""

    async def get(self, job_id: str) -> Job | None:
        """Return a job, or None if there is none of that id."""

    async def newest(self, before: str | None, limit: int) -> Sequence[Job]:
        """Return the newest jobs, or the newest `before` a job."""

    async def tasks(self, job_id: str, after: StreamId | None, limit: int) -> Sequence[JobTask]:
        """Return tasks of a job, or the tasks after a stream, in order of their streams."""

    async def refused_tasks(
        self, job_ids: Collection[str], after: StreamId | None, limit: int
    ) -> Mapping[str, Sequence[JobTask]]:
        """Return by job at most `limit` refused tasks of each, in order of their streams."""

    async def prune(self, *, finished_before: datetime, unknown_before: str) -> None:
        """Delete jobs that finished earlier, and tasks of jobs below that id that never were."""
