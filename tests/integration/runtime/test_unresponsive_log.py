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
    service = await in_memory_service()
    saga = await service.await_rest((await service.start("order_processing")).state.saga_id)
    saga_id, version = saga.state.saga_id, saga.state.version
    service.participants.hold("undo process_payment")
    watching = asyncio.ensure_future(
        service.orchestrator.saga_from(saga_id, version + 99, timedelta(milliseconds=50))
    )

    await service.orchestrator.execute(saga_id, Compensate())
    with pytest.raises(VersionNotReached):
        await watching
    assert list(service.driver.active) == [saga_id]

    service.participants.release("undo process_payment")
    await await_idle(service.driver)
    assert (await service.orchestrator.saga(saga_id)).state.status == "compensated"


@pytest.mark.filterwarnings("ignore:coroutine .* was never awaited")  # dropped before it began
@pytest.mark.parametrize("turns", [0, 1, 2])
async def test_start_returns_a_result_however_early_its_shard_is_lost(turns: int) -> None:
    service = await in_memory_service(NAP)
    definition = await service.registry.get("napping")
    saga_id = service.clock.new_saga_id(0, 64)
    recorded = service.driver.start(definition, saga_id, StartSaga(entity_id=1, input={}))
    for _ in range(turns):
        await asyncio.sleep(0)

    service.driver.drop_shards([0])

    async with asyncio.timeout(5):
        with suppress(OutcomeUnknown):
            await recorded


async def test_cancelled_watcher_does_not_evict_a_saga_that_is_held() -> None:
    service = await in_memory_service(NAP)
    saga_id = (await service.start("napping")).state.saga_id
    await await_idle(service.driver)
    stale, _ = await service.driver.watch(saga_id, is_at_rest)
    stale.release_watchers()
    service.driver.evict_if_idle(stale)
    watched, _ = await service.driver.watch(saga_id, is_at_rest)

    service.driver.evict_if_idle(stale)

    assert watched is not stale
    assert service.driver.active == {saga_id: watched}


async def test_saga_woken_too_early_is_woken_again() -> None:
    service = await in_memory_service(NAP)
    saga_id = (await service.start("napping")).state.saga_id
    await await_idle(service.driver)

    service.driver.timers.set(saga_id, None)
    await service.driver.deliver(saga_id, TimerFired())

    assert (await run_to_rest(service, saga_id)).state.status == "completed"


async def test_failed_read_loses_no_wakeup() -> None:
    log = ForgetfulLog()
    service = await in_memory_service(NAP, log=log)
    saga_id = (await service.start("napping")).state.saga_id
    await await_idle(service.driver)
    assert service.driver.active == {}

    log.fails = True
    await service.advance(timedelta(hours=1))
    await await_idle(service.driver)

    assert not log.fails
    assert (await service.orchestrator.saga(saga_id)).state.status == "completed"


async def test_wakeup_of_an_outdated_saga_reads_it_again(
    caplog: pytest.LogCaptureFixture,
) -> None:
    log = TroubledLog()
    service = await in_memory_service(NAP, log=log)
    saga_id = (await service.start("napping")).state.saga_id
    await await_idle(service.driver)

    log.troubles.append(WrongExpectedVersion(saga_id, expected=2, actual=3))
    await service.advance(timedelta(hours=1))
    await await_idle(service.driver)

    assert [record.message for record in caplog.records] == ["saga outdated, reading it again"]
    assert (await service.orchestrator.saga(saga_id)).state.status == "completed"
