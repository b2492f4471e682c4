"""One verb for many sagas: a job that can be followed, and that no single refusal stops."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from ..errors import SagaError
from ..inputs import OperatorCommand
from .clock import Clock
from .errors import OrchestratorError
from .logging import logger
from .orchestrator import Orchestrator

MAX_CONCURRENT_COMMANDS = 16  # sagas of a job that are asked at a time
MAX_JOBS = 100  # that are kept, the oldest go first
MAX_REFUSALS = 100  # that are told of a job


@dataclass(slots=True)
class BulkJob:
    job_id: str
    action: str
    matched: int
    started_at: datetime
    done: int = 0
    refused: int = 0
    refusals: dict[str, str] = field(default_factory=dict)  # why, by saga
    finished_at: datetime | None = None


class BulkJobs:
    def __init__(self, orchestrator: Orchestrator, clock: Clock) -> None:
        self.orchestrator, self.clock = orchestrator, clock
        self._jobs: OrderedDict[str, BulkJob] = OrderedDict()
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self, action: str, verb: OperatorCommand, saga_ids: Sequence[str]) -> BulkJob:
        """The job runs on by itself; a stop of the node ends it where it is."""
        job = BulkJob(
            job_id=self.clock.new_saga_id(0, 1),
            action=action,
            matched=len(saga_ids),
            started_at=self.clock.now(),
        )
        self._jobs[job.job_id] = job
        while len(self._jobs) > MAX_JOBS:
            self._jobs.popitem(last=False)
        task = asyncio.get_running_loop().create_task(self._run(job, verb, saga_ids))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return job

    def get(self, job_id: str) -> BulkJob | None:
        return self._jobs.get(job_id)

    async def close(self) -> None:
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _run(self, job: BulkJob, verb: OperatorCommand, saga_ids: Sequence[str]) -> None:
        turns = asyncio.Semaphore(MAX_CONCURRENT_COMMANDS)
        async with asyncio.TaskGroup() as asking:
            for saga_id in saga_ids:
                asking.create_task(self._execute(job, verb, saga_id, turns))
        job.finished_at = self.clock.now()

    async def _execute(
        self, job: BulkJob, verb: OperatorCommand, saga_id: str, turns: asyncio.Semaphore
    ) -> None:
        async with turns:
            try:
                await self.orchestrator.execute(saga_id, verb)
                job.done += 1
            except (SagaError, OrchestratorError) as error:
                _refused(job, saga_id, str(error))
            except Exception:  # noqa: BLE001 - one saga never stops the job
                logger.exception("bulk verb failed", extra={"saga_id": saga_id})
                _refused(job, saga_id, "it failed, and was logged")


def _refused(job: BulkJob, saga_id: str, why: str) -> None:
    job.refused += 1
    if len(job.refusals) < MAX_REFUSALS:
        job.refusals[saga_id] = why
