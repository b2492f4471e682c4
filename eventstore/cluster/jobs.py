"""Jobs: one task for many streams, divided among the nodes by shard.

    add ──> pending ──> outcome (done, or refused and why) ──> finished
                └────── cancel: what is pending is never begun

A job and all its tasks are recorded before the first is executed. The owner of a shard executes
the pending tasks of that shard, and records what came of them; after a crash the next owner goes
on with those that have no outcome. A task may so be executed twice, if a crash comes between its
execution and its outcome: the executing node must recognise what has been done. The first
outcome that is recorded counts.

What a job asks for is opaque here. Two implementations exist, PostgreSQL and memory, and one
contract suite holds for both.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Protocol

from ..event import StreamId

MAX_TASKS_PER_READ: Final = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A job as it is now, with the numbers of its tasks: all, done and refused ones."""

    job_id: str
    content: bytes
    matched: int
    started_at: datetime
    finished_at: datetime | None = None
    cancelled: bool = False
    cancelled_by: str | None = None
    done: int = 0
    refused: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class PendingTask:
    """A task that has no outcome yet, with the content of its job."""

    job_id: str
    stream_id: StreamId
    content: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class JobTask:
    """A task of a job. It is pending without `ended_at`, and done without a `refusal`."""

    stream_id: StreamId
    ended_at: datetime | None = None
    refusal: str | None = None


class JobStore(Protocol):
    """Keeps jobs and their tasks durably. Every method is safe to repeat.

    Ids of jobs are UUIDs that begin with their time. All methods raise LogUnavailable if the
    database does not answer, and ValueRefused for an id that is no UUID.
    """

    async def add(self, job: Job, stream_ids: Sequence[StreamId]) -> None:
        """Record a job with a task for each stream; its tasks are pending once it returns."""

    async def pending(
        self, shard_ids: Collection[int], after: PendingTask | None = None
    ) -> Sequence[PendingTask]:
        """Return a page of the pending tasks in these shards, in order of job and stream.

        A page that is not full is the last one.
        """

    async def end(
        self, outcomes: Sequence[tuple[PendingTask, str | None]], *, ended_at: datetime
    ) -> None:
        """Record what came of tasks: None for done, or why it was refused."""

    async def finish(self, *, finished_at: datetime) -> None:
        """Finish the jobs that have no pending task."""

    async def cancel(self, job_id: str, *, cancelled_by: str | None, finished_at: datetime) -> None:
        """Finish a job whatever is pending; a job that has finished stays as it is."""

    async def get(self, job_id: str) -> Job | None:
        """Return a job, or None if there is none of that id."""

    async def newest(self, before: str | None, limit: int) -> Sequence[Job]:
        """Return the newest jobs, or the newest `before` a job."""

    async def tasks(
        self, job_id: str, after: StreamId | None, limit: int, *, refused: bool = False
    ) -> Sequence[JobTask]:
        """Return tasks of a job in order of their streams; all, or only the refused ones."""

    async def prune(self, *, finished_before: datetime, unknown_before: str) -> None:
        """Delete jobs that finished earlier, and tasks of jobs below that id that never were."""
