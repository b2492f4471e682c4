"""One verb for many sagas: each is asked by itself, and what refuses stops no other."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from saga_orchestrator.fsm.inputs import Cancel, Compensate, OperatorCommand
from saga_orchestrator.fsm.runtime import bulk
from saga_orchestrator.fsm.runtime.bulk import MAX_CONCURRENT_COMMANDS, MAX_JOBS, BulkJob, BulkJobs
from saga_orchestrator.fsm.runtime.orchestrator import Orchestrator
from saga_orchestrator.fsm.saga import Saga
from saga_orchestrator.tests.support.in_memory_service import NOON, TIME_LIMIT, InMemoryService
from saga_orchestrator.tests.support.virtual_time import await_idle

NOBODY = "018f0000-0000-7000-8000-000000000003"


@pytest.fixture
async def jobs(world: InMemoryService) -> AsyncIterator[BulkJobs]:
    made = BulkJobs(world.orchestrator, world.clock)
    yield made
    await made.close()


async def finished(jobs: BulkJobs) -> None:
    async with asyncio.timeout(TIME_LIMIT.total_seconds()):
        while tasks := set(jobs._tasks):
            await asyncio.wait(tasks)


async def completed(world: InMemoryService, sagas: int) -> list[str]:
    started = [(await world.start("order_processing")).state.saga_id for _ in range(sagas)]
    await await_idle(world.driver)
    return started


async def test_job_executes_its_command_on_each_saga_and_shows_its_progress(
    world: InMemoryService, jobs: BulkJobs
) -> None:
    sagas = await completed(world, 3)

    job = jobs.start("compensate", Compensate(actor="Ada", reason="recall"), sagas)
    assert (job.matched, job.done, job.started_at, job.finished_at) == (3, 0, NOON, None)
    world.clock.advance(timedelta(seconds=5))
    await finished(jobs)

    assert jobs.get(job.job_id) is job
    assert (job.done, job.refused, job.refusals) == (3, 0, {})
    assert job.finished_at == NOON + timedelta(seconds=5)
    await await_idle(world.driver)
    for saga_id in sagas:
        saga = await world.orchestrator.saga(saga_id)
        assert (saga.state.status, saga.state.error) == (
            "compensated",
            "compensation was requested: recall",
        )


async def test_refusal_is_reported_and_stops_no_other_saga(
    world: InMemoryService, jobs: BulkJobs
) -> None:
    done, (waiting, other) = await completed(world, 1), [NOBODY, "nonsense"]
    world.participants.hold("create_order")
    going = (await world.start("order_processing")).state.saga_id
    await world.participants.await_call("create_order")

    job = jobs.start("cancel", Cancel(), [*done, waiting, going, other])
    await finished(jobs)

    assert (job.matched, job.done, job.refused) == (4, 1, 3)
    assert job.refusals.keys() == {*done, waiting, other}
    assert "it is completed; compensate it instead" in job.refusals[done[0]]
    assert job.refusals[waiting] == f"there is no saga {waiting}"
    assert (await world.orchestrator.saga(going)).state.status == "compensating"


class Surprising(Orchestrator):
    """Has a bug, and counts how many sagas it is asked about at the same time."""

    def __init__(self, world: InMemoryService) -> None:
        original = world.orchestrator
        super().__init__(original.log, original.registry, original.local_sagas, original.clock)
        self.concurrent = self.most = 0

    async def execute(
        self, saga_id: str, verb: OperatorCommand, *, expected_version: int | None = None
    ) -> Saga:
        self.concurrent += 1
        self.most = max(self.concurrent, self.most)
        await asyncio.sleep(0)
        self.concurrent -= 1
        raise KeyError("secret")


async def test_unexpected_error_is_logged_and_stops_no_other_saga(
    world: InMemoryService, caplog: pytest.LogCaptureFixture
) -> None:
    orchestrator = Surprising(world)
    jobs = BulkJobs(orchestrator, world.clock)

    job = jobs.start(
        "cancel", Cancel(), [str(number) for number in range(3 * MAX_CONCURRENT_COMMANDS)]
    )
    await finished(jobs)

    assert (job.refused, set(job.refusals.values())) == (
        3 * MAX_CONCURRENT_COMMANDS,
        {"it failed, and was logged"},
    )
    assert {one.message for one in caplog.records} == {"bulk verb failed"}
    assert orchestrator.most == MAX_CONCURRENT_COMMANDS


async def test_number_of_reported_refusals_is_limited(
    world: InMemoryService, jobs: BulkJobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bulk, "MAX_REFUSALS", 2)

    job = jobs.start("cancel", Cancel(), ["one", "two", "three"])
    await finished(jobs)

    assert (job.refused, len(job.refusals)) == (3, 2)


async def test_job_without_sagas_is_finished(jobs: BulkJobs) -> None:
    job = jobs.start("cancel", Cancel(), [])
    await finished(jobs)

    assert (job.matched, job.finished_at) == (0, NOON)


async def test_oldest_jobs_are_dropped(jobs: BulkJobs) -> None:
    started = [jobs.start("cancel", Cancel(), []) for _ in range(MAX_JOBS + 1)]
    await finished(jobs)

    assert jobs.get(started[0].job_id) is None
    assert [jobs.get(one.job_id) for one in started[1:]] == started[1:]


async def test_close_cancels_a_running_job(world: InMemoryService, jobs: BulkJobs) -> None:
    world.participants.hold("create_order")
    saga_id = (await world.start("order_processing")).state.saga_id
    job: BulkJob
    async with world.driver.creation_lock(saga_id):
        job = jobs.start("cancel", Cancel(), [saga_id])
        await asyncio.sleep(0)
        await jobs.close()

    assert (job.done, job.refused, job.finished_at) == (0, 0, None)
    assert jobs._tasks == set()
    assert (await world.orchestrator.saga(saga_id)).state.status == "running"
