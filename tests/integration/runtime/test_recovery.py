"""What only waits is not read after a start; what has something to do is taken up."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from datetime import timedelta

import pytest
from saga_orchestrator.eventstore.errors import LogUnavailable
from saga_orchestrator.eventstore.event import RecordedEvent, StreamId
from saga_orchestrator.eventstore.memory import InMemoryLog, MemoryStore
from saga_orchestrator.fsm.inputs import Cancel, SendSignal
from saga_orchestrator.fsm.runtime.sharding import recovery_barrier as first_moves
from saga_orchestrator.fsm.runtime.timers import SAGAS_PER_READ
from saga_orchestrator.tests.integration.runtime.failing_log import TroubledLog
from saga_orchestrator.tests.integration.runtime.waiting_sagas import APPROVAL, NAP, SIDE_BY_SIDE
from saga_orchestrator.tests.support.in_memory_service import (
    TIME_LIMIT,
    InMemoryService,
    in_memory_service,
    unfinished_saga,
)
from saga_orchestrator.tests.support.virtual_time import await_idle

DOCUMENTS = (APPROVAL, NAP, SIDE_BY_SIDE)


class CountingLog(InMemoryLog):
    """Counts the streams that are read."""

    def __init__(self, store: MemoryStore) -> None:
        super().__init__(store)
        self.reads: list[StreamId] = []
        self.pages: list[list[StreamId]] = []

    async def read_stream(
        self, stream_id: StreamId, *, after_version: int = 0, limit: int = 1000
    ) -> Sequence[RecordedEvent]:
        self.reads.append(stream_id)
        return await super().read_stream(stream_id, after_version=after_version, limit=limit)

    async def read_streams(self, stream_ids: Iterable[StreamId]) -> Sequence[RecordedEvent]:
        wanted = list(stream_ids)
        self.reads.extend(wanted)
        self.pages.append(wanted)
        return await super().read_streams(wanted)


@pytest.fixture
async def service(log: TroubledLog) -> AsyncIterator[InMemoryService]:
    made = await in_memory_service(*DOCUMENTS, log=log)
    yield made
    await made.driver.drain(timedelta())


async def restarted(
    service: InMemoryService, log: InMemoryLog | None = None
) -> tuple[InMemoryService, int]:
    """A process after that of `service`, and how many sagas it has taken up."""
    unfinished = await service.unfinished()
    process = await in_memory_service(*DOCUMENTS, log=log or InMemoryLog(service.log.store))
    process.clock.time = service.clock.time
    return process, await process.recover(unfinished)


async def start(service: InMemoryService, saga_type: str) -> str:
    saga_id = (await service.start(saga_type)).state.saga_id
    await await_idle(service.driver)
    return saga_id


async def test_idle_sagas_are_not_read_and_only_their_timers_are_set(
    service: InMemoryService,
) -> None:
    sleepers = [await start(service, "nap") for _ in range(10)]
    waiters = [await start(service, "approval") for _ in range(10)]
    done = await start(service, "side_by_side")
    log = CountingLog(service.log.store)

    process, taken_up = await restarted(service, log)
    await await_idle(process.driver)

    assert (log.reads, process.driver.active, taken_up) == ([], {}, 20)
    assert process.driver.timers._due.keys() == {*sleepers, *waiters}
    assert done not in process.driver.timers._due
    assert process.participants.sent == []


async def test_idle_sagas_go_on_when_they_fall_due_or_get_a_command(
    service: InMemoryService,
) -> None:
    sleeper, waiter = await start(service, "nap"), await start(service, "approval")
    process, _ = await restarted(service)

    await process.orchestrator.execute(waiter, SendSignal(name="approval"))
    await process.advance(timedelta(hours=2))
    await await_idle(process.driver)

    for saga_id in (sleeper, waiter):
        assert (await process.orchestrator.saga(saga_id)).state.status == "completed"
    assert process.participants.paths == ["POST /ship", "POST /ship"]


async def test_timer_that_expired_during_the_outage_fires_at_once(
    service: InMemoryService,
) -> None:
    saga_id = await start(service, "nap")
    service.clock.advance(timedelta(days=1))
    process, _ = await restarted(service)

    await await_idle(process.driver)

    assert (await process.orchestrator.saga(saga_id)).state.status == "completed"


async def test_saga_left_undecided_by_a_drain_is_read_and_goes_on(service: InMemoryService) -> None:
    idle = await start(service, "approval")
    drained = (await service.start_held("process_payment")).state.saga_id
    draining = asyncio.ensure_future(service.driver.drain(TIME_LIMIT))
    await asyncio.sleep(0)
    service.participants.release("process_payment")
    await draining
    log = CountingLog(service.log.store)

    process, taken_up = await restarted(service, log)
    await await_idle(process.driver)

    assert (set(log.reads), taken_up) == ({drained}, 2)
    assert process.driver.timers._due.keys() == {idle}
    assert (await process.orchestrator.saga(drained)).state.status == "completed"
    assert process.participants.paths == ["POST /orders/7/confirm"]


async def test_every_recovered_saga_repeats_its_call_before_any_proceeds(
    service: InMemoryService,
) -> None:
    service.participants.hold("create_order")
    for _ in range(5):
        await service.start("order_processing")

    process = await in_memory_service(*DOCUMENTS, log=InMemoryLog(service.log.store))
    process.driver.executor.limit = 1
    await process.recover(await service.unfinished())
    await await_idle(process.driver)

    assert process.participants.paths[:5] == ["POST /orders"] * 5
    assert process.participants.paths[5:].count("POST /orders/7/confirm") == 5


async def test_unresponsive_participant_delays_other_sagas_for_a_moment_only(
    service: InMemoryService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(first_moves, "CHECK_INTERVAL", timedelta(milliseconds=10))
    service.participants.hold("create_order")
    service.participants.hold("pay")
    for saga_type in ("order_processing", "order_processing", "side_by_side"):
        await service.start(saga_type)
    process = await in_memory_service(*DOCUMENTS, log=InMemoryLog(service.log.store))
    process.participants.hold("create_order")
    process.driver.executor.limit = 1

    await process.recover(await service.unfinished())

    await process.participants.await_call("ship")
    assert process.participants.paths.count("POST /orders") == 1
    await process.driver.drain(timedelta())


class SlowLog(CountingLog):
    """Lets nobody read many streams before `may_read`, and not the first `troubles` times then."""

    def __init__(self, store: MemoryStore, troubles: int = 0) -> None:
        super().__init__(store)
        self.may_read, self.asked = asyncio.Event(), asyncio.Event()
        self.troubles = troubles

    async def read_streams(self, stream_ids: Iterable[StreamId]) -> Sequence[RecordedEvent]:
        self.asked.set()
        await self.may_read.wait()
        if self.troubles:
            self.troubles -= 1
            raise LogUnavailable("no database")
        return await super().read_streams(stream_ids)


async def test_shards_are_in_service_before_their_interrupted_sagas_are_read(
    service: InMemoryService,
) -> None:
    service.participants.hold("create_order")
    left = [(await service.start("order_processing")).state.saga_id for _ in range(2)]
    log = SlowLog(service.log.store)
    process = await in_memory_service(*DOCUMENTS, log=log)
    process.clock.drawn = service.clock.drawn
    recovering = asyncio.ensure_future(process.recover(await service.unfinished()))
    await log.asked.wait()

    new = await process.await_rest((await process.start("order_processing")).state.saga_id)
    await process.orchestrator.execute(left[0], Cancel())
    asked_for = await process.await_rest(left[0])

    assert (new.state.status, asked_for.state.status) == ("completed", "compensated")
    assert asked_for.state.step("create_order").status == "compensated"  # it was called again
    log.may_read.set()
    assert await recovering == 1
    assert (await process.await_rest(left[1])).state.status == "completed"


async def test_unreadable_page_is_read_later(service: InMemoryService) -> None:
    service.participants.hold("create_order")
    saga_id = (await service.start("order_processing")).state.saga_id
    log = SlowLog(service.log.store, troubles=2)
    log.may_read.set()
    process = await in_memory_service(*DOCUMENTS, log=log)

    assert await process.recover(await service.unfinished()) == 1

    assert (await process.await_rest(saga_id)).state.status == "completed"


async def test_broken_history_keeps_no_other_saga_waiting(
    service: InMemoryService,
) -> None:
    service.participants.hold("create_order")
    broken, whole = [(await service.start("order_processing")).state.saga_id for _ in range(2)]
    stream = service.log.store.streams[StreamId(broken)]
    stream[0] = stream[0]._replace(payload=b"{}")
    process = await in_memory_service(*DOCUMENTS, log=InMemoryLog(service.log.store))

    assert await process.recover([unfinished_saga(broken), unfinished_saga(whole)]) == 1

    assert (await process.await_rest(whole)).state.status == "completed"
    assert process.driver.recovery_barrier.is_open


async def test_sagas_that_fall_due_together_are_read_in_pages(service: InMemoryService) -> None:
    for _ in range(SAGAS_PER_READ + 1):
        await service.start("nap")
    await await_idle(service.driver)
    log = CountingLog(service.log.store)
    process, _ = await restarted(service, log)

    await process.advance(timedelta(hours=2))
    await await_idle(process.driver)

    assert [len(page) for page in log.pages] == [SAGAS_PER_READ, 1]
    sagas = [await process.orchestrator.saga(saga_id) for saga_id in service.sagas]
    assert {saga.state.status for saga in sagas} == {"completed"}


async def test_new_saga_does_not_wait_for_the_backlog_of_a_crash(
    service: InMemoryService,
) -> None:
    service.participants.hold("create_order")
    for _ in range(20):
        await service.start("order_processing")
    process = await in_memory_service(*DOCUMENTS, log=InMemoryLog(service.log.store))
    process.clock.drawn = service.clock.drawn
    process.driver.executor.limit = 1
    process.participants.hold("create_order")
    await process.recover(await service.unfinished())
    await process.participants.await_call("create_order")

    new = (await process.start("order_processing")).state.saga_id
    process.participants.release("create_order")
    await process.await_rest(new)

    first_calls = [call for call in process.participants.sent if call.path == "/orders"]
    assert new in [call.headers["saga-id"] for call in first_calls[:4]]
    await await_idle(process.driver)


async def test_new_saga_does_not_wait_at_the_recovery_barrier(
    service: InMemoryService,
) -> None:
    service.participants.hold("create_order")
    for _ in range(2):
        await service.start("order_processing")
    process = await in_memory_service(*DOCUMENTS, log=InMemoryLog(service.log.store))
    process.clock.drawn = service.clock.drawn
    process.participants.hold("create_order")
    process.driver.executor.limit = 1
    await process.recover(await service.unfinished())

    began = asyncio.get_running_loop().time()
    await process.await_rest((await process.start("side_by_side")).state.saga_id)

    assert not process.driver.recovery_barrier.is_open
    assert asyncio.get_running_loop().time() - began < first_moves.CHECK_INTERVAL.total_seconds()
    await process.driver.drain(timedelta())
