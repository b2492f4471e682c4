"""What a hostile reader found: each of these once left a saga hanging or took it out of memory."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from contextlib import suppress
from datetime import timedelta

import pytest
from saga_orchestrator.eventstore.errors import LogUnavailable, WrongExpectedVersion
from saga_orchestrator.eventstore.event import RecordedEvent, StreamId
from saga_orchestrator.eventstore.memory import InMemoryLog
from saga_orchestrator.fsm.inputs import Compensate, StartSaga, TimerFired
from saga_orchestrator.fsm.runtime.active_saga import is_at_rest
from saga_orchestrator.fsm.runtime.errors import OutcomeUnknown, VersionNotReached
from saga_orchestrator.tests.integration.runtime.failing_log import TroubledLog
from saga_orchestrator.tests.support.in_memory_service import in_memory_service
from saga_orchestrator.tests.support.virtual_time import await_idle, run_to_rest

NAP = """
saga: napping
version: 1
steps:
  - {name: nap, sleep: 1h}
"""


class ForgetfulLog(InMemoryLog):
    """Cannot be read the next time, if it is told so."""

    fails = False

    async def read_streams(self, stream_ids: Iterable[StreamId]) -> Sequence[RecordedEvent]:
        if self.fails:
            self.fails = False
            raise LogUnavailable("no database")
        return await super().read_streams(stream_ids)


async def test_watcher_of_a_saga_at_rest_does_not_evict_it_during_compensation() -> None:
    world = await in_memory_service()
    saga = await world.await_rest((await world.start("order_processing")).state.saga_id)
    saga_id, version = saga.state.saga_id, saga.state.version
    world.participants.hold("undo process_payment")
    watching = asyncio.ensure_future(
        world.orchestrator.saga_from(saga_id, version + 99, timedelta(milliseconds=50))
    )

    await world.orchestrator.execute(saga_id, Compensate())
    with pytest.raises(VersionNotReached):
        await watching
    assert list(world.driver.active) == [saga_id]

    world.participants.release("undo process_payment")
    await await_idle(world.driver)
    assert (await world.orchestrator.saga(saga_id)).state.status == "compensated"


@pytest.mark.filterwarnings("ignore:coroutine .* was never awaited")  # dropped before it began
@pytest.mark.parametrize("turns", [0, 1, 2])
async def test_start_returns_a_result_however_early_its_shard_is_lost(turns: int) -> None:
    world = await in_memory_service(NAP)
    definition = await world.registry.get("napping")
    saga_id = world.clock.new_saga_id(0, 64)
    recorded = world.driver.start(definition, saga_id, StartSaga(entity_id=1, input={}))
    for _ in range(turns):
        await asyncio.sleep(0)

    world.driver.drop_shards([0])

    async with asyncio.timeout(5):
        with suppress(OutcomeUnknown):
            await recorded


async def test_cancelled_watcher_does_not_evict_a_saga_that_is_held() -> None:
    world = await in_memory_service(NAP)
    saga_id = (await world.start("napping")).state.saga_id
    await await_idle(world.driver)
    stale, _ = await world.driver.watch(saga_id, is_at_rest)
    stale.release_watchers()
    world.driver.evict_if_idle(stale)
    held, _ = await world.driver.watch(saga_id, is_at_rest)

    world.driver.evict_if_idle(stale)

    assert held is not stale
    assert world.driver.active == {saga_id: held}


async def test_saga_woken_too_early_is_woken_again() -> None:
    world = await in_memory_service(NAP)
    saga_id = (await world.start("napping")).state.saga_id
    await await_idle(world.driver)

    world.driver.timers.set(saga_id, None)
    await world.driver.deliver(saga_id, TimerFired())

    assert (await run_to_rest(world, saga_id)).state.status == "completed"


async def test_failed_read_loses_no_wakeup() -> None:
    log = ForgetfulLog()
    world = await in_memory_service(NAP, log=log)
    saga_id = (await world.start("napping")).state.saga_id
    await await_idle(world.driver)
    assert world.driver.active == {}

    log.fails = True
    await world.advance(timedelta(hours=1))
    await await_idle(world.driver)

    assert not log.fails
    assert (await world.orchestrator.saga(saga_id)).state.status == "completed"


async def test_wakeup_of_an_outdated_saga_reads_it_again(
    caplog: pytest.LogCaptureFixture,
) -> None:
    log = TroubledLog()
    world = await in_memory_service(NAP, log=log)
    saga_id = (await world.start("napping")).state.saga_id
    await await_idle(world.driver)

    log.troubles.append(WrongExpectedVersion(saga_id, expected=2, actual=3))
    await world.advance(timedelta(hours=1))
    await await_idle(world.driver)

    assert [one.message for one in caplog.records] == ["saga outdated, reading it again"]
    assert (await world.orchestrator.saga(saga_id)).state.status == "completed"
