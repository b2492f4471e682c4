"""Bulk jobs: each saga gets the command once, and no refusal stops the others."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta

import pytest
from saga_orchestrator.eventstore.cluster.jobs import MAX_TASKS_PER_READ, PendingTask
from saga_orchestrator.eventstore.cluster.memory_jobs import InMemoryJobs
from saga_orchestrator.eventstore.errors import LogUnavailable, WrongExpectedVersion
from saga_orchestrator.fsm.inputs import Input, Resume
from saga_orchestrator.fsm.runtime import bulk
from saga_orchestrator.fsm.runtime.bulk import (
    COMMAND_TIMEOUT,
    JOB_RETENTION,
    MAX_CONCURRENT_COMMANDS,
    MAX_REFUSALS,
    UNEXPECTED,
    BulkCommand,
    BulkJobs,
)
from saga_orchestrator.fsm.runtime.errors import BulkJobNotFound, OutcomeUnknown, Overloaded
from saga_orchestrator.fsm.runtime.local_sagas import LocalSagas
from saga_orchestrator.fsm.saga import Saga
from saga_orchestrator.tests.support.in_memory_cluster import InMemoryCluster
from saga_orchestrator.tests.support.in_memory_service import NOON, InMemoryService
from saga_orchestrator.tests.support.virtual_time import await_idle

RECALL = BulkCommand(action="compensate", reason="recall", filter={}, actor="Ada")
STOP = BulkCommand(action="cancel", reason="wrong price", filter={})


def bulk_jobs(
    service: InMemoryService, store: InMemoryJobs | None = None, sagas: LocalSagas | None = None
) -> BulkJobs:
    local_sagas = sagas or service.orchestrator.local_sagas
    return BulkJobs(
        store or InMemoryJobs(), local_sagas, lambda: service.driver.shards, service.clock
    )


def unknown_sagas(number: int) -> list[str]:
    return [f"019ca945-0a00-7000-9000-{n:012x}" for n in range(number)]


async def completed(service: InMemoryService, sagas: int) -> list[str]:
    started = [(await service.start("order_processing")).state.saga_id for _ in range(sagas)]
    await await_idle(service.driver)
    return started


class CountedSagas(LocalSagas):
    """Counts the commands, and lets a test fail them."""

    def __init__(self, service: InMemoryService, error: Exception | None = None) -> None:
        original = service.orchestrator.local_sagas
        super().__init__(original.repository, original.driver, original.lease)
        self.error = error
        self.commanded: list[str] = []
        self.begun = asyncio.Event()
        self.concurrent = self.most = 0

    async def handle(
        self, saga_id: str, happening: Input, expected_version: int | None = None
    ) -> Saga:
        self.commanded.append(saga_id)
        self.begun.set()
        self.concurrent += 1
        self.most = max(self.concurrent, self.most)
        await asyncio.sleep(0)
        self.concurrent -= 1
        if self.error is not None:
            raise self.error
        return await super().handle(saga_id, happening, expected_version)


async def test_job_commands_each_saga_and_counts_them(service: InMemoryService) -> None:
    jobs, sagas = bulk_jobs(service), await completed(service, 3)

    started = await jobs.start(RECALL, sagas)
    service.clock.advance(timedelta(seconds=5))
    ended = await jobs.step()

    job = await jobs.get(started.job_id)
    assert (started.status, started.matched, started.started_at) == ("running", 3, NOON)
    assert (ended, job.status, job.done, job.refused, job.refusals) == (3, "done", 3, 0, {})
    assert job.finished_at == NOON + timedelta(seconds=5)
    await await_idle(service.driver)
    for saga_id in sagas:
        saga = await service.orchestrator.saga(saga_id)
        assert saga.state.status == "compensated"
        assert saga.state.error == "compensation was requested: recall"


async def test_refusals_stop_no_other_saga(service: InMemoryService) -> None:
    jobs = bulk_jobs(service)
    (done,), (unknown,) = await completed(service, 1), unknown_sagas(1)
    service.participants.hold("create_order")
    going = (await service.start("order_processing")).state.saga_id
    await service.participants.await_call("create_order")

    started = await jobs.start(STOP, [done, unknown, going])
    await jobs.step()

    job = await jobs.get(started.job_id)
    assert (job.status, job.matched, job.done, job.refused) == ("done", 3, 1, 2)
    assert "it is completed; compensate it instead" in job.refusals[done]
    assert job.refusals[unknown] == f"there is no saga {unknown}"
    assert (await service.orchestrator.saga(going)).state.status == "compensating"


async def test_defect_with_a_saga_is_logged_and_stops_no_other(
    service: InMemoryService, caplog: pytest.LogCaptureFixture
) -> None:
    sagas = CountedSagas(service, KeyError("secret"))
    jobs = bulk_jobs(service, sagas=sagas)
    number = 2 * MAX_TASKS_PER_READ + 1

    started = await jobs.start(STOP, unknown_sagas(number))
    await jobs.step()

    job = await jobs.get(started.job_id)
    assert (job.refused, set(job.refusals.values())) == (number, {UNEXPECTED})
    assert {record.message for record in caplog.records} == {"bulk command failed"}
    assert sagas.most == MAX_CONCURRENT_COMMANDS
    assert len(sagas.commanded) == number


async def test_saga_that_cannot_be_commanded_now_stays_pending(service: InMemoryService) -> None:
    (saga_id,) = await completed(service, 1)
    sagas = CountedSagas(service, Overloaded("too much waits"))
    jobs = bulk_jobs(service, sagas=sagas)
    started = await jobs.start(RECALL, [saga_id])

    assert await jobs.step() == 0
    assert (await jobs.get(started.job_id)).status == "running"
    sagas.error = None

    assert await jobs.step() == 1
    assert (await jobs.get(started.job_id)).status == "done"


async def test_saga_that_does_not_answer_does_not_hold_the_others_up(
    service: InMemoryService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bulk, "COMMAND_TIMEOUT", COMMAND_TIMEOUT / 1000)
    silent, other = await completed(service, 2)
    jobs = bulk_jobs(service)
    started = await jobs.start(RECALL, [silent, other])

    async with service.driver.acquire(silent, waits_for_log=False):
        assert await jobs.step() == 1

    sagas = await jobs.sagas(started.job_id, None, 10)
    assert {saga.saga_id: saga.outcome for saga in sagas} == {silent: "pending", other: "done"}
    assert await jobs.step() == 1


async def test_command_is_not_repeated_by_a_job_that_goes_on_after_a_crash(
    service: InMemoryService,
) -> None:
    service.participants.hold("create_order")
    saga_id = (await service.start("order_processing")).state.saga_id
    store, pause = InMemoryJobs(), BulkCommand(action="pause", reason="a fire", filter={})
    started = await bulk_jobs(service, store).start(pause, [saga_id])
    lost = InMemoryJobs(dict(store.jobs), {started.job_id: dict(store.by_job[started.job_id])})
    await bulk_jobs(service, lost).step()  # executed, and dead before the outcome was recorded
    await service.orchestrator.execute(saga_id, Resume())

    jobs = bulk_jobs(service, store)
    await jobs.step()

    job = await jobs.get(started.job_id)
    assert (job.status, job.done, job.refused) == ("done", 1, 0)
    assert (await service.orchestrator.saga(saga_id)).state.paused_at is None


async def test_job_that_is_cancelled_stops_before_the_next_saga(service: InMemoryService) -> None:
    sagas = await completed(service, MAX_CONCURRENT_COMMANDS + 5)
    counted = CountedSagas(service)
    jobs = bulk_jobs(service, sagas=counted)
    started = await jobs.start(RECALL, sagas)
    step = asyncio.create_task(jobs.step())
    await counted.begun.wait()

    await jobs.cancel(started.job_id, "Ada")
    await step

    outcomes = [saga.outcome for saga in await jobs.sagas(started.job_id, None, 100)]
    assert len(counted.commanded) == MAX_CONCURRENT_COMMANDS
    assert outcomes.count("done") == MAX_CONCURRENT_COMMANDS
    assert outcomes.count("left") == 5


async def test_saga_commanded_before_a_crash_and_a_cancel_is_not_called_left(
    service: InMemoryService,
) -> None:
    (saga_id,) = await completed(service, 1)
    store = InMemoryJobs()
    sagas = CountedSagas(service, OutcomeUnknown("the connection died"))
    jobs = bulk_jobs(service, store, sagas)
    started = await jobs.start(RECALL, [saga_id])
    await jobs.step()
    await jobs.cancel(started.job_id)
    assert [saga.outcome for saga in await jobs.sagas(started.job_id, None, 10)] == ["pending"]
    sagas.error = None

    await bulk_jobs(service, store, sagas).step()

    job = await jobs.get(started.job_id)
    assert (job.status, job.done) == ("cancelled", 1)


async def test_append_without_confirmation_leaves_a_saga_pending(service: InMemoryService) -> None:
    (saga_id,) = await completed(service, 1)
    sagas = CountedSagas(service, WrongExpectedVersion(saga_id, expected=3, actual=4))
    jobs = bulk_jobs(service, sagas=sagas)
    started = await jobs.start(RECALL, [saga_id])

    assert await jobs.step() == 0
    sagas.error = None

    assert await jobs.step() == 1
    assert (await jobs.get(started.job_id)).done == 1


class UnavailableOnce(InMemoryJobs):
    """Cannot record the first outcome."""

    is_available = False

    async def end(self, task: PendingTask, refusal: str | None, *, ended_at: datetime) -> None:
        if not self.is_available:
            self.is_available = True
            raise LogUnavailable("the database is away")
        await super().end(task, refusal, ended_at=ended_at)


async def test_outcome_that_cannot_be_recorded_disturbs_no_other_saga(
    service: InMemoryService,
) -> None:
    jobs, sagas = bulk_jobs(service, UnavailableOnce()), await completed(service, 3)
    started = await jobs.start(RECALL, sagas)

    assert await jobs.step() == 2
    assert await jobs.step() == 1

    job = await jobs.get(started.job_id)
    assert (job.status, job.done, job.refused) == ("done", 3, 0)


async def test_small_job_does_not_wait_for_a_large_one(service: InMemoryService) -> None:
    counted = CountedSagas(service)
    jobs = bulk_jobs(service, sagas=counted)
    large = unknown_sagas(4 * MAX_TASKS_PER_READ)
    await jobs.start(STOP, large)
    (saga_id,) = await completed(service, 1)
    await jobs.start(RECALL, [saga_id])

    await jobs.step()

    assert counted.commanded.index(saga_id) <= MAX_TASKS_PER_READ + 1


async def test_stop_lets_begun_sagas_end_and_leaves_the_others_pending(
    service: InMemoryService,
) -> None:
    sagas = await completed(service, MAX_CONCURRENT_COMMANDS + 5)
    counted = CountedSagas(service)
    jobs = bulk_jobs(service, sagas=counted)
    started = await jobs.start(RECALL, sagas)
    running = asyncio.create_task(jobs.run())
    await counted.begun.wait()

    jobs.stop()
    await running

    outcomes = [saga.outcome for saga in await jobs.sagas(started.job_id, None, 100)]
    assert outcomes.count("pending") == 5
    assert outcomes.count("done") == MAX_CONCURRENT_COMMANDS


async def test_each_node_commands_the_sagas_that_it_drives() -> None:
    cluster, store = InMemoryCluster(), InMemoryJobs()
    anne, bert = await cluster.join("anne"), await cluster.join("bert")
    await cluster.settle()
    for node in (anne, bert):
        for _ in range(4):
            await node.service.start("order_processing")
        await await_idle(node.service.driver)
    sagas = anne.service.sagas

    jobs = {name: bulk_jobs(node.service, store) for name, node in cluster.alive.items()}
    started = await jobs["anne"].start(RECALL, sagas)
    ended = {name: await node_jobs.step() for name, node_jobs in jobs.items()}

    job = await jobs["bert"].get(started.job_id)
    assert (job.status, job.done) == ("done", len(sagas))
    assert (sum(ended.values()), min(ended.values()) > 0) == (len(sagas), True)
    await cluster.close()


async def test_some_of_many_refusals_are_listed_with_a_job(service: InMemoryService) -> None:
    jobs = bulk_jobs(service)

    started = await jobs.start(STOP, unknown_sagas(MAX_REFUSALS + 5))
    await jobs.step()

    job = await jobs.get(started.job_id)
    assert (job.refused, len(job.refusals)) == (MAX_REFUSALS + 5, MAX_REFUSALS)


async def test_job_without_sagas_is_done_at_once(service: InMemoryService) -> None:
    jobs = bulk_jobs(service)

    started = await jobs.start(STOP, [])
    await jobs.step()

    assert (await jobs.get(started.job_id)).finished_at == NOON


async def test_job_that_finished_long_ago_is_dropped(service: InMemoryService) -> None:
    jobs = bulk_jobs(service)
    old = await jobs.start(STOP, [])
    await jobs.step()
    service.clock.advance(JOB_RETENTION + timedelta(seconds=1))
    new = await jobs.start(STOP, [])

    await jobs.step()

    assert (await jobs.get(new.job_id)).status == "done"
    with pytest.raises(BulkJobNotFound):
        await jobs.get(old.job_id)


async def test_run_executes_a_job_as_soon_as_it_is_recorded(service: InMemoryService) -> None:
    jobs, (saga_id,) = bulk_jobs(service), await completed(service, 1)
    running = asyncio.create_task(jobs.run())
    await asyncio.sleep(0)

    started = await jobs.start(RECALL, [saga_id])
    for _ in range(50):
        await asyncio.sleep(0)

    assert (await jobs.get(started.job_id)).status == "done"
    running.cancel()
