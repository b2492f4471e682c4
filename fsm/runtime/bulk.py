"""Bulk jobs: one operator command for many sagas, chosen when the job is made.

The set of sagas and the command are recorded before any saga gets the command. Each node commands
the sagas that it drives, so a job goes on wherever its sagas are, also after a crash. The id of
the job is the id under which the command is forwarded to a saga: a saga that a crashed node has
commanded already recognises it, so each saga gets the command once. A saga that refuses does not
stop the others; one that cannot be commanded now (its node is stopping, the log is overloaded)
stays pending and is tried again.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, Literal, cast

from msgspec import Struct
from msgspec.structs import asdict

from ...eventstore.cluster.jobs import MAX_TASKS_PER_READ, Job, JobStore, JobTask, PendingTask
from ...eventstore.errors import LogUnavailable, ValueRefused
from ...eventstore.event import StreamId
from ..errors import SagaError
from ..formats.strict_json import JsonObject, parse, serialize
from ..inputs import (
    Abandon,
    Cancel,
    ChildPolicy,
    Compensate,
    ForwardedInput,
    OperatorCommand,
    Pause,
    Resume,
    Retry,
)
from .clock import Clock, saga_id
from .errors import BulkJobNotFound, NotShardOwner, OrchestratorError, Unavailable
from .local_sagas import LocalSagas, log_errors_as_unavailable
from .logging import logger

Action = Literal["compensate", "cancel", "retry", "pause", "resume", "abandon"]
COMMANDS: Final[Mapping[str, Callable[..., OperatorCommand]]] = {
    "compensate": Compensate,
    "cancel": Cancel,
    "retry": Retry,
    "pause": Pause,
    "resume": Resume,
}
MAX_CONCURRENT_COMMANDS: Final = 16  # sagas of all jobs that a node commands at a time
MAX_REFUSALS: Final = 100  # listed with a job; the pages of its sagas have them all
# A job that another node has accepted is noticed this late.
POLL_INTERVAL: Final = timedelta(seconds=1)
# A saga that takes longer stays pending, and the sagas after it need not wait for it.
COMMAND_TIMEOUT: Final = timedelta(seconds=30)
JOB_RETENTION: Final = timedelta(days=30)
PRUNE_INTERVAL: Final = timedelta(hours=1)
UNEXPECTED: Final = "it failed, and was logged"


class BulkCommand(Struct, frozen=True, kw_only=True):
    """What a bulk job asks of each saga, and what it was made from."""

    action: Action
    reason: str
    filter: JsonObject
    actor: str | None = None
    children: ChildPolicy | None = None
    name: str | None = None

    @property
    def command(self) -> OperatorCommand:
        """Return the command for each saga."""
        if self.action == "abandon":
            return Abandon(actor=self.actor, reason=self.reason, children=self.children)
        return COMMANDS[self.action](actor=self.actor, reason=self.reason)


@dataclass(frozen=True, slots=True, kw_only=True)
class BulkJob:
    """A bulk job as it is now; `refusals` are reasons by saga, at most MAX_REFUSALS."""

    job_id: str
    request: BulkCommand
    status: Literal["running", "done", "cancelled"]
    matched: int
    done: int
    refused: int
    refusals: Mapping[str, str]
    started_at: datetime
    finished_at: datetime | None
    cancelled_by: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class BulkSaga:
    """What came of one saga of a job; `left`: the job was cancelled before it got the command."""

    saga_id: str
    outcome: Literal["pending", "done", "refused", "left"]
    refusal: str | None
    ended_at: datetime | None


class BulkJobs:
    """Records bulk jobs, tells how far they are, and executes them for the sagas of this node."""

    def __init__(
        self,
        store: JobStore,
        local_sagas: LocalSagas,
        driven: Callable[[], Iterable[int]],
        clock: Clock,
    ) -> None:
        """`driven` returns the shards that this node drives."""
        self._store, self._local_sagas, self._driven = store, local_sagas, driven
        self._clock = clock
        self._added = asyncio.Event()
        self._pruned_at = clock.now()

    async def start(self, request: BulkCommand, saga_ids: Sequence[str]) -> BulkJob:
        """Record a job durably; return it. Raises Unavailable: it may have been recorded then."""
        job = Job(
            job_id=self._clock.new_saga_id(0, 1),
            content=_encode(request),
            matched=len(saga_ids),
            started_at=self._clock.now(),
        )
        with log_errors_as_unavailable():
            await self._store.add(job, [StreamId(saga_id) for saga_id in saga_ids])
        self._added.set()
        return _bulk_job(job, ())

    async def get(self, job_id: str) -> BulkJob:
        """Return a job of any node. Raises BulkJobNotFound, Unavailable."""
        with log_errors_as_unavailable():
            return await self._with_refusals(await self._job(job_id))

    async def newest(self, before: str | None, limit: int) -> Sequence[BulkJob]:
        """Return the newest jobs, or the newest `before` a job. Raises Unavailable."""
        with log_errors_as_unavailable():
            jobs = await self._store.newest(before, limit)
            return [await self._with_refusals(job) for job in jobs]

    async def sagas(
        self, job_id: str, after: str | None, limit: int, *, refused: bool = False
    ) -> Sequence[BulkSaga]:
        """Return a page of what came of the sagas of a job, in order of their ids.

        Raises BulkJobNotFound, Unavailable.
        """
        with log_errors_as_unavailable():
            job = await self._job(job_id)
            start = None if after is None else StreamId(after)
            tasks = await self._store.tasks(job_id, start, limit, refused=refused)
            return [_bulk_saga(job, task) for task in tasks]

    async def cancel(self, job_id: str, actor: str | None = None) -> BulkJob:
        """Stop a job: sagas that have not got the command do not get it. Return the job, which may
        have been done before. Raises BulkJobNotFound, Unavailable."""
        with log_errors_as_unavailable():
            await self._job(job_id)
            now = self._clock.now()
            await self._store.cancel(job_id, cancelled_by=actor, finished_at=now)
            return await self._with_refusals(await self._job(job_id))

    async def run(self) -> None:
        """Execute what is pending, and look for more of it regularly, until cancelled."""
        while True:
            self._added.clear()
            try:
                await self.step()
            except LogUnavailable as error:
                logger.warning("bulk jobs could not be read", extra={"error": str(error)})
            except Exception:  # noqa: BLE001 - the next turn tries again
                logger.exception("bulk jobs failed")
            with suppress(TimeoutError):
                async with asyncio.timeout(POLL_INTERVAL.total_seconds()):
                    await self._added.wait()

    async def step(self) -> int:
        """Command each saga of this node that a job waits for; return how many got an outcome.

        Raises LogUnavailable.
        """
        ended = 0
        async for tasks in self._pages():
            outcomes = await self._execute_all(tasks)
            if outcomes:
                await self._store.end(outcomes, ended_at=self._clock.now())
            ended += len(outcomes)
        now = self._clock.now()
        await self._store.finish(finished_at=now)
        if now - self._pruned_at >= PRUNE_INTERVAL:
            self._pruned_at = now
            yesterday = now - timedelta(days=1)
            unknown_before = saga_id(int(yesterday.timestamp() * 1000), 0, 0, 1)
            await self._store.prune(
                finished_before=now - JOB_RETENTION, unknown_before=unknown_before
            )
        return ended

    async def _pages(self) -> AsyncIterator[Sequence[PendingTask]]:
        after: PendingTask | None = None
        while shard_ids := sorted(self._driven()):
            page = await self._store.pending(shard_ids, after)
            if page:
                yield page
            if len(page) < MAX_TASKS_PER_READ:
                return
            after = page[-1]

    async def _execute_all(
        self, tasks: Sequence[PendingTask]
    ) -> Sequence[tuple[PendingTask, str | None]]:
        """Return what came of the tasks, without those that are still pending."""
        remaining = iter(tasks)
        outcomes: list[tuple[PendingTask, str | None]] = []
        async with asyncio.TaskGroup() as workers:
            for _ in range(min(MAX_CONCURRENT_COMMANDS, len(tasks))):
                workers.create_task(self._work(remaining, outcomes))
        return outcomes

    async def _work(
        self, tasks: Iterator[PendingTask], outcomes: list[tuple[PendingTask, str | None]]
    ) -> None:
        for task in tasks:
            with suppress(NotShardOwner, Unavailable, LogUnavailable, TimeoutError):
                async with asyncio.timeout(COMMAND_TIMEOUT.total_seconds()):
                    outcomes.append((task, await self._execute(task)))

    async def _execute(self, task: PendingTask) -> str | None:
        """Command a saga; return its refusal, if it refuses. Raises Unavailable."""
        try:
            command = ForwardedInput(message_id=task.job_id, input=_decode(task.content).command)
            await self._local_sagas.handle(task.stream_id, command)
            return None
        except (Unavailable, LogUnavailable):
            raise
        except (SagaError, OrchestratorError) as error:
            return str(error)
        except Exception:  # noqa: BLE001 - a defect with one saga does not stop the job
            logger.exception("bulk command failed", extra={"saga_id": task.stream_id})
            return UNEXPECTED

    async def _job(self, job_id: str) -> Job:
        try:
            job = await self._store.get(job_id)
        except ValueRefused:  # it is not a UUID
            job = None
        if job is None:
            raise BulkJobNotFound(job_id)
        return job

    async def _with_refusals(self, job: Job) -> BulkJob:
        refused = (
            await self._store.tasks(job.job_id, None, MAX_REFUSALS, refused=True)
            if job.refused
            else ()
        )
        return _bulk_job(job, refused)


def _bulk_job(job: Job, refused: Sequence[JobTask]) -> BulkJob:
    return BulkJob(
        job_id=job.job_id,
        request=_decode(job.content),
        status="cancelled" if job.cancelled else "done" if job.finished_at else "running",
        matched=job.matched,
        done=job.done,
        refused=job.refused,
        refusals={task.stream_id: task.refusal or "" for task in refused},
        started_at=job.started_at,
        finished_at=job.finished_at,
        cancelled_by=job.cancelled_by,
    )


def _bulk_saga(job: Job, task: JobTask) -> BulkSaga:
    outcome: Literal["pending", "done", "refused", "left"]
    if task.ended_at is None:
        outcome = "left" if job.cancelled else "pending"
    else:
        outcome = "done" if task.refusal is None else "refused"
    return BulkSaga(
        saga_id=task.stream_id, outcome=outcome, refusal=task.refusal, ended_at=task.ended_at
    )


def _encode(request: BulkCommand) -> bytes:
    return serialize(cast(JsonObject, asdict(request)))


def _decode(content: bytes) -> BulkCommand:
    return BulkCommand(**cast(dict[str, Any], parse(content)))
