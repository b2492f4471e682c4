"""Bulk jobs: one operator command for many sagas, chosen when the job is made.

The set of sagas and the command are recorded before any saga gets the command. Each node commands
the sagas that it drives, so a job goes on wherever its sagas are, also after a crash. The id of
the job is the id under which the command is forwarded to a saga: a saga that a crashed node has
commanded already recognises it, so each saga gets the command once. A saga that refuses does not
stop the others; one that cannot be commanded now (its node is stopping, the log is overloaded)
stays pending and is tried again.

A request may have an idempotency key, as a start may. The key is recorded with the job, so there is
one job for a key, whichever nodes get the requests, as long as the job is kept.

The request is recorded with the version of its content. A job with a newer version is shown without
its request, and its sagas wait for a node that can read it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal, cast
from uuid import UUID

from msgspec import Struct, convert
from msgspec.structs import asdict

from ...eventstore import Fenced, LogUnavailable, StreamId, WrongExpectedVersion
from ...eventstore.cluster import Job, JobStore, JobTask, PendingJob, PendingTask
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
from .errors import (
    BulkJobNotFound,
    IdempotencyKeyReused,
    OrchestratorError,
    OutcomeUnknown,
    Unavailable,
)
from .local_sagas import LocalSagas, log_errors_as_unavailable
from .logging import logger
from .orchestrator import IdempotencyKey

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
# A job that another node has accepted is noticed within this time.
POLL_INTERVAL: Final = timedelta(seconds=1)
# A saga that takes longer stays pending, and the sagas after it need not wait for it.
COMMAND_TIMEOUT: Final = timedelta(seconds=10)
JOB_RETENTION: Final = timedelta(days=30)
PRUNE_INTERVAL: Final = timedelta(hours=1)
UNEXPECTED: Final = "it failed, and was logged"
# The version of recorded requests. A new one is needed if nodes that know only this one could not
# read the content, or would misread it. The tests keep a sample of each version.
CONTENT_VERSION: Final = 1
NEWER_CONTENT: Final = (
    "a newer version of the service has recorded this job: this node can neither show nor execute"
    " its command, and leaves it to nodes of the newer version"
)
UNREADABLE_CONTENT: Final = "the command of this job cannot be read, so it is not executed"


class BulkCommand(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The command that a bulk job sends to each saga, and the request that it was made from."""

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
    """A bulk job as it is now; `refusals` are reasons by saga, at most MAX_REFUSALS.

    `request` is None if this version of the service cannot read it, and `note` says so.
    """

    job_id: str
    request: BulkCommand | None
    note: str | None
    status: Literal["running", "done", "cancelled"]
    matched: int
    done: int
    refused: int
    refusals: Mapping[str, str]
    started_at: datetime
    finished_at: datetime | None
    cancelled_by: str | None


@dataclass(frozen=True, slots=True)
class BulkStart:
    """A recorded job. `replayed`: an earlier request with the same key has made it."""

    job: BulkJob
    replayed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class BulkSaga:
    """The outcome of one saga of a job; `left`: the job was cancelled before the saga got the
    command."""

    saga_id: str
    outcome: Literal["pending", "done", "refused", "left"]
    refusal: str | None
    ended_at: datetime | None


class BulkJobs:
    """Records bulk jobs, reports their progress, and executes them for the sagas of this node."""

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
        self._added, self._is_stopping = asyncio.Event(), False
        self._pruned_at = clock.now()
        self._unreadable = set[str]()  # jobs that were logged as such

    async def start(
        self, request: BulkCommand, saga_ids: Sequence[str], key: IdempotencyKey | None = None
    ) -> BulkStart:
        """Record a job durably; return it, or the job that the key has made before.

        Raises IdempotencyKeyReused; OutcomeUnknown if the job may have been recorded.
        """
        job = Job(
            job_id=self._clock.new_saga_id(0, 1),
            content=_encode(request),
            content_version=CONTENT_VERSION,
            matched=len(saga_ids),
            started_at=self._clock.now(),
            key=None if key is None else key.key,
            digest=None if key is None else key.digest,
        )
        try:
            recorded = await self._store.add(job, [StreamId(saga_id) for saga_id in saga_ids])
        except LogUnavailable as error:
            again = (
                f"look for {job.job_id} in GET /bulk before repeating"
                if key is None
                else "repeat it with the same Idempotency-Key"
            )
            raise OutcomeUnknown(f"the job may be recorded: {again}") from error
        self._added.set()
        if key is None or recorded.job_id == job.job_id:
            return BulkStart(_bulk_job(recorded, ()), replayed=False)
        return BulkStart(await self._replayed(recorded, key), replayed=True)

    async def find_started(self, key: IdempotencyKey) -> BulkJob | None:
        """Return the job that this key has made. Raises IdempotencyKeyReused, Unavailable."""
        with log_errors_as_unavailable():
            job = await self._store.find(key.key)
        return None if job is None else await self._replayed(job, key)

    async def get(self, job_id: str) -> BulkJob:
        """Return a job of any node. Raises BulkJobNotFound, Unavailable."""
        with log_errors_as_unavailable():
            return await self._with_refusals(await self._job(job_id))

    async def newest(self, before: str | None, limit: int) -> Sequence[BulkJob]:
        """Return the newest jobs, or the newest `before` a job. Raises Unavailable."""
        with log_errors_as_unavailable():
            jobs = await self._store.newest(before, limit)
            job_ids = [job.job_id for job in jobs if job.refused]
            refused = await self._store.refused_tasks(job_ids, None, MAX_REFUSALS)
            return [_bulk_job(job, refused.get(job.job_id, ())) for job in jobs]

    async def sagas(
        self, job_id: str, after: str | None, limit: int, *, refused: bool = False
    ) -> Sequence[BulkSaga]:
        """Return a page of the outcomes of the sagas of a job, in order of their ids.

        Raises BulkJobNotFound, Unavailable.
        """
        start, known_id = None if after is None else StreamId(after), _canonical(job_id)
        with log_errors_as_unavailable():
            if refused:
                tasks = (await self._store.refused_tasks([known_id], start, limit))[known_id]
            else:
                tasks = await self._store.tasks(known_id, start, limit)
            if not tasks:
                await self._job(job_id)
            return [_bulk_saga(task) for task in tasks]

    async def cancel(self, job_id: str, actor: str | None = None) -> BulkJob:
        """Stop a job: sagas that have not got the command do not get it. Return the job, which may
        have been done before. Raises BulkJobNotFound, Unavailable."""
        with log_errors_as_unavailable():
            now = self._clock.now()
            await self._store.cancel(_canonical(job_id), cancelled_by=actor, finished_at=now)
            return await self._with_refusals(await self._job(job_id))

    async def run(self) -> None:
        """Execute pending tasks, looking for new ones at intervals, until `stop`."""
        while not self._is_stopping:
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

    def stop(self) -> None:
        """Let `run` end once the sagas that have got their command have their outcome."""
        self._is_stopping = True
        self._added.set()

    async def step(self) -> int:
        """Command each saga of this node that a job waits for; return how many got an outcome.

        Jobs take turns, a page of sagas each. Raises LogUnavailable.
        """
        ended, cursors = 0, dict[str, StreamId]()
        while not self._is_stopping and (shard_ids := sorted(self._driven())):
            has_more = False
            for job in await self._store.pending_jobs(shard_ids):
                if (command := self._command_of(job)) is None:
                    continue
                after = cursors.get(job.job_id)
                page = await self._store.pending(job.job_id, shard_ids, after)
                if page:
                    has_more, cursors[job.job_id] = True, page[-1].stream_id
                    ended += await self._execute_page(command, page)
            await self._store.finish(finished_at=self._clock.now())
            if not has_more:
                break
        await self._prune_regularly()
        return ended

    def _command_of(self, job: PendingJob) -> ForwardedInput | None:
        """Return the command for the sagas of a job, or None if this node cannot read it."""
        request = _decode(job.content, job.content_version)
        if request is None:
            if job.job_id not in self._unreadable:
                self._unreadable.add(job.job_id)
                facts = {"job_id": job.job_id, "content_version": job.content_version}
                logger.warning("bulk job cannot be read, and is not executed", extra=facts)
            return None
        return ForwardedInput(message_id=job.job_id, input=request.command)

    async def _execute_page(self, command: ForwardedInput, page: Sequence[PendingTask]) -> int:
        """Return how many sagas got an outcome; the others stay pending."""
        remaining, ended = iter(page), list[PendingTask]()
        async with asyncio.TaskGroup() as workers:
            for _ in range(min(MAX_CONCURRENT_COMMANDS, len(page))):
                workers.create_task(self._work(remaining, command, ended))
        return len(ended)

    async def _work(
        self, tasks: Iterator[PendingTask], command: ForwardedInput, ended: list[PendingTask]
    ) -> None:
        for task in tasks:
            if self._is_stopping:
                return
            with suppress(WrongExpectedVersion, Unavailable, LogUnavailable, Fenced, TimeoutError):
                if not await self._store.begin(task, begun_at=self._clock.now()):
                    continue  # the job was cancelled
                async with asyncio.timeout(COMMAND_TIMEOUT.total_seconds()):
                    refusal = await self._execute(task, command)
                await self._store.end(task, refusal, ended_at=self._clock.now())
                ended.append(task)

    async def _execute(self, task: PendingTask, command: ForwardedInput) -> str | None:
        """Command a saga; return its refusal, if it refuses.

        Raises Unavailable, Fenced or WrongExpectedVersion if the outcome is not known.
        """
        saga_id = task.stream_id
        try:
            await self._local_sagas.handle(saga_id, command)
            return None
        except WrongExpectedVersion:  # an append before was recorded and not confirmed
            self._local_sagas.driver.drop_outdated(saga_id)
            raise
        except (Unavailable, LogUnavailable, Fenced) as error:
            logger.info("bulk command postponed", extra={"saga_id": saga_id, "error": str(error)})
            raise
        except (SagaError, OrchestratorError) as error:
            return str(error)
        except Exception:  # noqa: BLE001 - a defect with one saga does not stop the job
            logger.exception("bulk command failed", extra={"saga_id": saga_id})
            return UNEXPECTED

    async def _prune_regularly(self) -> None:
        now = self._clock.now()
        if now - self._pruned_at < PRUNE_INTERVAL:
            return
        self._pruned_at = now
        yesterday = int((now - timedelta(days=1)).timestamp() * 1000)
        await self._store.prune(
            finished_before=now - JOB_RETENTION, unknown_before=saga_id(yesterday, 0, 0, 1)
        )

    async def _job(self, job_id: str) -> Job:
        job = await self._store.get(_canonical(job_id))
        if job is None:
            raise BulkJobNotFound(job_id)
        return job

    async def _replayed(self, job: Job, key: IdempotencyKey) -> BulkJob:
        """Return a job for a request with its key. Raises IdempotencyKeyReused, Unavailable."""
        assert job.digest is not None, "it was found by its key"
        if not key.matches(job.digest):
            raise IdempotencyKeyReused(key.key)
        with log_errors_as_unavailable():
            return await self._with_refusals(job)

    async def _with_refusals(self, job: Job) -> BulkJob:
        if not job.refused:
            return _bulk_job(job, ())
        refused = await self._store.refused_tasks([job.job_id], None, MAX_REFUSALS)
        return _bulk_job(job, refused[job.job_id])


def _canonical(job_id: str) -> str:
    """Return the id of a job as it is recorded. Raises BulkJobNotFound if it is not a UUID."""
    try:
        return str(UUID(job_id))
    except ValueError:
        raise BulkJobNotFound(job_id) from None


def _bulk_job(job: Job, refused: Sequence[JobTask]) -> BulkJob:
    request = _decode(job.content, job.content_version)
    return BulkJob(
        job_id=job.job_id,
        request=request,
        note=None if request is not None else _note(job.content_version),
        status="cancelled" if job.cancelled else "done" if job.finished_at else "running",
        matched=job.matched,
        done=job.done,
        refused=job.refused,
        refusals={task.stream_id: task.refusal or "" for task in refused},
        started_at=job.started_at,
        finished_at=job.finished_at,
        cancelled_by=job.cancelled_by,
    )


def _bulk_saga(task: JobTask) -> BulkSaga:
    outcome: Literal["pending", "done", "refused", "left"]
    if task.ended_at is None:
        outcome = "left" if task.is_left else "pending"
    else:
        outcome = "done" if task.refusal is None else "refused"
    return BulkSaga(
        saga_id=task.stream_id, outcome=outcome, refusal=task.refusal, ended_at=task.ended_at
    )


def _encode(request: BulkCommand) -> bytes:
    return serialize(cast(JsonObject, asdict(request)))


def _decode(content: bytes, version: int) -> BulkCommand | None:
    """Return the request of a job, or None if this version of the service cannot read it."""
    if version > CONTENT_VERSION:
        return None
    try:
        return convert(parse(content), BulkCommand)
    except ValueError:
        return None


def _note(content_version: int) -> str:
    return NEWER_CONTENT if content_version > CONTENT_VERSION else UNREADABLE_CONTENT
