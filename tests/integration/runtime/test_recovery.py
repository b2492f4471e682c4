"""What only waits is not read after a start; what has something to do is taken up."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from datetime import timedelta

import pytest
from saga_orchestrator.eventstore import (
    InMemoryLog,
    MemoryStore,
    RecordedEvent,
    StreamId,
)
from saga_orchestrator.fsm.happening import SignalSent
from saga_orchestrator.fsm.runtime import first_moves
from saga_orchestrator.tests.integration.runtime.troubled_log import TroubledLog
from saga_orchestrator.tests.integration.runtime.waiting_sagas import (
    APPROVAL,
    NAP,
    SIDE_BY_SIDE,
)
from saga_orchestrator.tests.passing_time import quiet
from saga_orchestrator.tests.world import ENOUGH, World, a_world

DOCUMENTS = (APPROVAL, NAP, SIDE_BY_SIDE)


class CountingLog(InMemoryLog):
    """Counts the streams that are read."""

    def __init__(self, store: MemoryStore) -> None:
        super().__init__(store)
        self.reads: list[StreamId] = []

    async def read_stream(
        self, stream_id: StreamId, *, after_version: int = 0, limit: int = 1000
    ) -> Sequence[RecordedEvent]:
        self.reads.append(stream_id)
        return await super().read_stream(stream_id, after_version=after_version, limit=limit)

    async def read_streams(self, stream_ids: Iterable[StreamId]) -> Sequence[RecordedEvent]:
        wanted = list(stream_ids)
        self.reads.extend(wanted)
        return await super().read_streams(wanted)


@pytest.fixture
async def world(log: TroubledLog) -> AsyncIterator[World]:
    made = await a_world(*DOCUMENTS, log=log)
    yield made
    await made.driver.drain(timedelta())


async def restarted(world: World, log: InMemoryLog | None = None) -> tuple[World, int]:
    """A process after the one of `world`, and how many sagas it has taken up."""
    unfinished = await world.unfinished()
    process = await a_world(*DOCUMENTS, log=log or InMemoryLog(world.log.store))
    process.clock.time = world.clock.time
    return process, await process.recover(unfinished)


async def start(world: World, saga_type: str) -> str:
    saga_id = (await world.start(saga_type)).state.saga_id
    await quiet(world.driver)
    return saga_id


async def test_idle_sagas_are_not_read_and_only_their_timers_are_set(world: World) -> None:
    sleepers = [await start(world, "nap") for _ in range(10)]
    waiters = [await start(world, "approval") for _ in range(10)]
    done = await start(world, "side_by_side")
    log = CountingLog(world.log.store)

    process, taken_up = await restarted(world, log)
    await quiet(process.driver)

    assert (log.reads, process.driver.live, taken_up) == ([], {}, 20)
    assert process.driver.timers._due.keys() == {*sleepers, *waiters}
    assert done not in process.driver.timers._due
    assert process.participants.sent == []


async def test_idle_sagas_go_on_when_their_time_comes_or_somebody_asks(world: World) -> None:
    sleeper, waiter = await start(world, "nap"), await start(world, "approval")
    process, _ = await restarted(world)

    await process.orchestrator.ask(waiter, SignalSent(name="approval"))
    await process.advance(timedelta(hours=2))
    await quiet(process.driver)

    for saga_id in (sleeper, waiter):
        assert (await process.orchestrator.saga(saga_id)).state.status == "completed"
    assert process.participants.paths == ["POST /ship", "POST /ship"]


async def test_a_time_that_came_while_nobody_was_there_comes_at_once(world: World) -> None:
    saga_id = await start(world, "nap")
    world.clock.advance(timedelta(days=1))
    process, _ = await restarted(world)

    assert process.driver.timers.step() == 1
    await quiet(process.driver)

    assert (await process.orchestrator.saga(saga_id)).state.status == "completed"


async def test_what_a_drain_left_undecided_is_read_and_goes_on(world: World) -> None:
    idle = await start(world, "approval")
    world.participants.hold("process_payment")
    drained = (await world.start("order_processing")).state.saga_id
    await world.participants.called("process_payment")
    draining = asyncio.ensure_future(world.driver.drain(ENOUGH))
    await asyncio.sleep(0)
    world.participants.release("process_payment")
    await draining
    log = CountingLog(world.log.store)

    process, taken_up = await restarted(world, log)
    await quiet(process.driver)

    assert (set(log.reads), taken_up) == ({drained}, 2)
    assert process.driver.timers._due.keys() == {idle}
    assert (await process.orchestrator.saga(drained)).state.status == "completed"
    assert process.participants.paths == ["POST /orders/7/confirm"]


async def test_after_a_crash_every_saga_makes_its_first_move_before_any_makes_its_second(
    world: World,
) -> None:
    world.participants.hold("create_order")
    for _ in range(5):
        await world.start("order_processing")

    process = await a_world(*DOCUMENTS, log=InMemoryLog(world.log.store))
    process.driver.executor.limit = 1
    await process.recover(await world.unfinished())
    await quiet(process.driver)

    assert process.participants.paths[:5] == ["POST /orders"] * 5
    assert process.participants.paths[5:].count("POST /orders/7/confirm") == 5


async def test_who_answers_nobody_holds_up_the_sagas_of_others_for_a_moment_only(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(first_moves, "PATIENCE", timedelta(milliseconds=10))
    world.participants.hold("create_order")
    world.participants.hold("pay")
    for saga_type in ("order_processing", "order_processing", "side_by_side"):
        await world.start(saga_type)
    process = await a_world(*DOCUMENTS, log=InMemoryLog(world.log.store))
    process.participants.hold("create_order")
    process.driver.executor.limit = 1

    await process.recover(await world.unfinished())

    await process.participants.called("ship")
    assert process.participants.paths.count("POST /orders") == 1
    await process.driver.drain(timedelta())


async def test_a_saga_that_is_begun_meanwhile_waits_for_no_others_first_move(world: World) -> None:
    world.participants.hold("create_order")
    for _ in range(2):
        await world.start("order_processing")
    process = await a_world(*DOCUMENTS, log=InMemoryLog(world.log.store))
    process.clock.drawn = world.clock.drawn
    process.participants.hold("create_order")
    process.driver.executor.limit = 1
    await process.recover(await world.unfinished())

    began = asyncio.get_running_loop().time()
    await process.rested((await process.start("side_by_side")).state.saga_id)

    assert not process.driver.first_moves.are_over
    assert asyncio.get_running_loop().time() - began < first_moves.PATIENCE.total_seconds()
    await process.driver.drain(timedelta())
