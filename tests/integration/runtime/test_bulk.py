"""Bulk jobs: each saga gets the command once, and no refusal stops the others."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta

import pytest
from saga_orchestrator.eventstore.cluster.jobs import MAX_TASKS_PER_READ, Job, PendingTask
from saga_orchestrator.eventstore.cluster.memory_jobs import InMemoryJobs
from saga_orchestrator.eventstore.errors import LogUnavailable, WrongExpectedVersion
from saga_orchestrator.eventstore.event import StreamId
from saga_orchestrator.fsm.inputs import ChildPolicy, Input, Resume
from saga_orchestrator.fsm.runtime import bulk
from saga_orchestrator.fsm.runtime.bulk import (
    COMMAND_TIMEOUT,
    CONTENT_VERSION,
    JOB_RETENTION,
    MAX_CONCURRENT_COMMANDS,
    NEWER_CONTENT,
    UNEXPECTED,
    UNREADABLE_CONTENT,
    BulkCommand,
    BulkJobs,
)
from saga_orchestrator.fsm.runtime.errors import (
    BulkJobNotFound,
    IdempotencyKeyReused,
    OutcomeUnknown,
    Overloaded,
)
from saga_orchestrator.fsm.runtime.local_sagas import LocalSagas
from saga_orchestrator.fsm.runtime.orchestrator import IdempotencyKey
from saga_orchestrator.fsm.saga import Saga
from saga_orchestrator.tests.support.in_memory_cluster import InMemoryCluster
from saga_orchestrator.tests.support.in_memory_service import NOON, InMemoryService
from saga_orchestrator.tests.support.virtual_time import await_idle

RECALL = BulkCommand(action="compensate", reason="recall", filter={}, actor="Ada")
STOP = BulkCommand(action="cancel", reason="wrong price", filter={})


KEY = IdempotencyKey("recall-7", b"1")
# A recorded content of version 1. It is never changed, because what was recorded is not either.
CONTENT_1 = (
    b'{"action":"abandon","reason":"recall","filter":{"status":"parked","tags":{"a":"b"}},'
    b'"actor":"Ada","children":"leave","name":"recall of 7"}'
)


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

    started = (await jobs.start(RECALL, sagas)).job
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
    going = (await service.start_held("create_order")).state.saga_id

    started = (await jobs.start(STOP, [done, unknown, going])).job
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

    started = (await jobs.start(STOP, unknown_sagas(number))).job
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
    started = (await jobs.start(RECALL, [saga_id])).job

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
    started = (await jobs.start(RECALL, [silent, other])).job

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
    started = (await bulk_jobs(service, store).start(pause, [saga_id])).job
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
    started = (await jobs.start(RECALL, sagas)).job
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
    started = (await jobs.start(RECALL, [saga_id])).job
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
    started = (await jobs.start(RECALL, [saga_id])).job

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
    started = (await jobs.start(RECALL, sagas)).job

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
    started = (await jobs.start(RECALL, sagas)).job
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
    started = (await jobs["anne"].start(RECALL, sagas)).job
    ended = {name: await node_jobs.step() for name, node_jobs in jobs.items()}

    job = await jobs["bert"].get(started.job_id)
    assert (job.status, job.done) == ("done", len(sagas))
    assert (sum(ended.values()), min(ended.values()) > 0) == (len(sagas), True)
    await cluster.close()


async def test_job_without_sagas_is_done_at_once(service: InMemoryService) -> None:
    jobs = bulk_jobs(service)

    started = (await jobs.start(STOP, [])).job
    await jobs.step()

    assert (await jobs.get(started.job_id)).finished_at == NOON


async def test_job_that_finished_long_ago_is_dropped(service: InMemoryService) -> None:
    jobs = bulk_jobs(service)
    old = (await jobs.start(STOP, [])).job
    await jobs.step()
    service.clock.advance(JOB_RETENTION + timedelta(seconds=1))
    new = (await jobs.start(STOP, [])).job

    await jobs.step()

    assert (await jobs.get(new.job_id)).status == "done"
    with pytest.raises(BulkJobNotFound):
        await jobs.get(old.job_id)


async def test_run_executes_a_job_as_soon_as_it_is_recorded(service: InMemoryService) -> None:
    jobs, (saga_id,) = bulk_jobs(service), await completed(service, 1)
    running = asyncio.create_task(jobs.run())
    await asyncio.sleep(0)

    started = (await jobs.start(RECALL, [saga_id])).job
    for _ in range(50):
        await asyncio.sleep(0)

    assert (await jobs.get(started.job_id)).status == "done"
    running.cancel()


async def test_key_makes_one_job(service: InMemoryService) -> None:
    store, (saga_id,) = InMemoryJobs(), await completed(service, 1)
    first = await bulk_jobs(service, store).start(RECALL, [saga_id], KEY)
    again = await bulk_jobs(service, store).start(RECALL, unknown_sagas(2), KEY)

    assert (first.replayed, again.replayed) == (False, True)
    assert again.job == first.job == await bulk_jobs(service, store).find_started(KEY)
    assert len(await bulk_jobs(service, store).newest(None, 10)) == 1


async def test_key_of_a_job_is_refused_for_another_request(service: InMemoryService) -> None:
    jobs, other = bulk_jobs(service), IdempotencyKey(KEY.key, b"2")
    await jobs.start(RECALL, [], KEY)

    with pytest.raises(IdempotencyKeyReused):
        await jobs.start(STOP, [], other)
    with pytest.raises(IdempotencyKeyReused):
        await jobs.find_started(other)


async def test_repetition_gets_the_job_with_its_refusals(service: InMemoryService) -> None:
    jobs = bulk_jobs(service)
    assert await jobs.find_started(KEY) is None
    started = (await jobs.start(STOP, unknown_sagas(1), KEY)).job
    await jobs.step()

    job = await jobs.find_started(KEY)

    assert job is not None
    assert (job.status, len(job.refusals)) == ("done", 1)
    assert job == await jobs.get(started.job_id)


class Unreachable(InMemoryJobs):
    """Cannot record a job."""

    async def add(self, job: Job, stream_ids: Sequence[StreamId]) -> Job:
        raise LogUnavailable("the database is away")


@pytest.mark.parametrize(("key", "advice"), [(None, "GET /bulk"), (KEY, "same Idempotency-Key")])
async def test_job_that_may_be_recorded_says_how_to_repeat_it(
    service: InMemoryService, key: IdempotencyKey | None, advice: str
) -> None:
    with pytest.raises(OutcomeUnknown, match=advice):
        await bulk_jobs(service, Unreachable()).start(STOP, [], key)


async def with_content(store: InMemoryJobs, version: int, content: bytes, saga_id: str) -> str:
    """Record a job as another version of the service would; return its id."""
    job = Job(
        job_id="019ca945-0a00-7000-8000-000000000001",
        content=content,
        content_version=version,
        matched=1,
        started_at=NOON,
    )
    return (await store.add(job, [StreamId(saga_id)])).job_id


async def test_content_that_was_recorded_is_read(service: InMemoryService) -> None:
    store = InMemoryJobs()
    job_id = await with_content(store, 1, CONTENT_1, unknown_sagas(1)[0])

    assert (await bulk_jobs(service, store).get(job_id)).request == BulkCommand(
        action="abandon",
        reason="recall",
        filter={"status": "parked", "tags": {"a": "b"}},
        actor="Ada",
        children=ChildPolicy.LEAVE,
        name="recall of 7",
    )


async def test_content_is_recorded_as_its_version_says(service: InMemoryService) -> None:
    store = InMemoryJobs()
    request = (
        await bulk_jobs(service, store).get(
            await with_content(store, 1, CONTENT_1, unknown_sagas(1)[0])
        )
    ).request
    assert request is not None

    started = (await bulk_jobs(service, store).start(request, [])).job

    recorded = store.jobs[started.job_id]
    assert (recorded.content_version, recorded.content) == (1, CONTENT_1)


@pytest.mark.parametrize(
    ("version", "content", "note"),
    [
        (CONTENT_VERSION + 1, b"\x00 not JSON at all", NEWER_CONTENT),
        (CONTENT_VERSION + 1, CONTENT_1, NEWER_CONTENT),
        (CONTENT_VERSION, b'{"action":"explode","reason":"r","filter":{}}', UNREADABLE_CONTENT),
        (CONTENT_VERSION, CONTENT_1[:-1] + b',"colour":"red"}', UNREADABLE_CONTENT),
    ],
)
async def test_job_that_cannot_be_read_is_shown_and_not_executed_and_the_others_go_on(
    service: InMemoryService,
    caplog: pytest.LogCaptureFixture,
    version: int,
    content: bytes,
    note: str,
) -> None:
    store, (untouched, recalled) = InMemoryJobs(), await completed(service, 2)
    job_id = await with_content(store, version, content, untouched)
    jobs = bulk_jobs(service, store)
    other = (await jobs.start(RECALL, [recalled])).job

    assert [await jobs.step(), await jobs.step()] == [1, 0]

    unread, read = sorted(await jobs.newest(None, 10), key=lambda job: job.job_id == other.job_id)
    assert (unread.job_id, unread.request, unread.note) == (job_id, None, note)
    assert (unread.status, unread.matched, unread.done) == ("running", 1, 0)
    assert (read.status, read.done, read.note) == ("done", 1, None)
    assert (await service.orchestrator.saga(untouched)).state.status == "completed"
    assert [record.message for record in caplog.records] == [
        "bulk job cannot be read, and is not executed"
    ]


async def test_job_of_a_newer_version_can_be_cancelled(service: InMemoryService) -> None:
    store = InMemoryJobs()
    job_id = await with_content(store, CONTENT_VERSION + 1, b"", unknown_sagas(1)[0])
    jobs = bulk_jobs(service, store)

    job = await jobs.cancel(job_id, "Ada")

    assert (job.status, job.cancelled_by, job.note) == ("cancelled", "Ada", NEWER_CONTENT)
    assert [saga.outcome for saga in await jobs.sagas(job_id, None, 10)] == ["left"]
