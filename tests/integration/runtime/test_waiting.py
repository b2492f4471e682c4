"""A saga that waits long is not in memory: the log has it, and whoever needs it brings it back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from saga_orchestrator.fsm.call_outcome import Response
from saga_orchestrator.fsm.inputs import (
    Cancel,
    Pause,
    Resume,
    Retry,
    SendSignal,
    StartSaga,
    StepCallback,
)
from saga_orchestrator.fsm.runtime.active_saga import MAX_SLEEP_IN_MEMORY
from saga_orchestrator.tests.integration.runtime.failing_log import TroubledLog
from saga_orchestrator.tests.integration.runtime.waiting_sagas import (
    APPROVAL,
    ASYNCHRONOUS,
    BLINK,
    NAP,
)
from saga_orchestrator.tests.support.in_memory_service import (
    NOON,
    ORDER_STEP_DATA,
    TIME_LIMIT,
    InMemoryService,
    in_memory_service,
)
from saga_orchestrator.tests.support.virtual_time import await_idle, run_to_rest

THROTTLED = Response(429, {"retry-after": "60"}, b"")
APPROVED = SendSignal(name="approval", body={"by": "Ada"}, key="once")


@pytest.fixture
async def world(log: TroubledLog) -> AsyncIterator[InMemoryService]:
    made = await in_memory_service(APPROVAL, NAP, BLINK, ASYNCHRONOUS, log=log)
    yield made
    await made.driver.drain(timedelta())


async def waiting(world: InMemoryService, saga_type: str) -> str:
    """A saga that has got as far as it can by itself."""
    saga_id = (await world.start(saga_type)).state.saga_id
    await await_idle(world.driver)
    return saga_id


async def status_of(world: InMemoryService, saga_id: str) -> str:
    return (await world.orchestrator.saga(saga_id)).state.status


async def test_long_sleep_ends_by_timer_and_reload_from_the_log(
    world: InMemoryService,
) -> None:
    saga_id = await waiting(world, "nap")
    assert world.driver.active == {}

    assert await world.advance(timedelta(minutes=119)) == 0
    assert await world.advance(timedelta(minutes=1)) == 1
    await await_idle(world.driver)

    assert await status_of(world, saga_id) == "completed"
    assert world.participants.paths == ["POST /ask", "POST /ship"]
    assert world.driver.active == {}


async def test_saga_with_a_short_sleep_stays_in_memory(world: InMemoryService) -> None:
    saga_id = await waiting(world, "blink")

    assert list(world.driver.active) == [saga_id]
    assert await world.advance(MAX_SLEEP_IN_MEMORY) == 1
    await await_idle(world.driver)
    assert (await status_of(world, saga_id), world.driver.active) == ("completed", {})


async def test_signal_wakes_a_waiting_saga(world: InMemoryService, log: TroubledLog) -> None:
    saga_id = await waiting(world, "approval")
    assert world.driver.active == {}

    saga = await world.orchestrator.execute(saga_id, APPROVED)

    assert saga.outputs["approve"] == {"by": "Ada"}
    await await_idle(world.driver)
    assert (await status_of(world, saga_id), world.driver.active) == ("completed", {})
    assert log.types(saga_id).count("StepCalled") == 2


async def test_signal_sent_twenty_times_with_one_key_counts_once(
    world: InMemoryService, log: TroubledLog
) -> None:
    saga_id = await waiting(world, "approval")
    await world.orchestrator.execute(saga_id, Pause())

    await asyncio.gather(*(world.orchestrator.execute(saga_id, APPROVED) for _ in range(20)))

    assert log.types(saga_id).count("SignalReceived") == 1
    assert world.driver.active == {}


async def test_command_wakes_a_sleeping_saga(world: InMemoryService) -> None:
    saga_id = await waiting(world, "approval")

    await world.orchestrator.execute(saga_id, Cancel(reason="too late"))

    assert (await run_to_rest(world, saga_id)).state.status == "compensated"
    assert world.participants.paths == ["POST /ask", "POST /forget"]
    assert world.driver.timers._due == {}


async def test_pause_stops_the_timer_and_resume_postpones_it(world: InMemoryService) -> None:
    saga_id = await waiting(world, "nap")
    await world.orchestrator.execute(saga_id, Pause())
    assert (world.driver.active, world.driver.timers._due) == ({}, {})
    assert await world.advance(timedelta(hours=3)) == 0

    await world.orchestrator.execute(saga_id, Resume())

    assert world.driver.timers._due == {saga_id: NOON + timedelta(hours=5)}
    assert world.driver.active == {}
    assert await world.advance(timedelta(hours=2)) == 1
    await await_idle(world.driver)
    assert await status_of(world, saga_id) == "completed"


async def test_long_back_off_is_spent_outside_memory_and_can_be_cut_short(
    world: InMemoryService,
) -> None:
    world.participants.will_reply("ask", THROTTLED)
    saga_id = await waiting(world, "nap")
    assert world.driver.active == {}

    await world.orchestrator.execute(saga_id, Retry())
    await await_idle(world.driver)

    assert world.participants.paths == ["POST /ask", "POST /ask"]
    assert [one.headers["saga-attempt"] for one in world.participants.sent] == ["1", "1"]


async def test_accepted_step_is_awaited_outside_memory(world: InMemoryService) -> None:
    world.participants.will_reply("print", Response(202, {}, b""))
    saga_id = await waiting(world, "asynchronous")
    assert world.driver.active == {}

    report = StepCallback(step="print", done=True, output={"pages": 3})
    saga = await world.orchestrator.complete_step(saga_id, report)

    assert (saga.state.status, saga.outputs) == ("completed", {"print": {"pages": 3}})
    assert world.driver.active == {}


async def test_watched_saga_stays_in_memory_and_its_watcher_is_notified(
    world: InMemoryService,
) -> None:
    saga_id = await waiting(world, "approval")
    saga = await world.orchestrator.saga(saga_id)
    watching = [
        asyncio.ensure_future(world.orchestrator.wait_until_rest(saga, TIME_LIMIT))
        for _ in range(3)
    ]
    await settle()
    assert list(world.driver.active) == [saga_id]

    await world.orchestrator.execute(saga_id, APPROVED)

    assert [one.state.status for one in await asyncio.gather(*watching)] == ["completed"] * 3
    assert world.driver.active == {}


async def test_client_can_wait_for_a_version(world: InMemoryService) -> None:
    saga_id = await waiting(world, "approval")
    version = (await world.orchestrator.saga(saga_id)).state.version
    watching = asyncio.ensure_future(world.orchestrator.saga_from(saga_id, version + 1, TIME_LIMIT))
    await settle()

    await world.orchestrator.execute(saga_id, APPROVED)

    assert (await watching).state.version > version


async def test_saga_is_evicted_when_its_last_watcher_is_gone(world: InMemoryService) -> None:
    saga_id = await waiting(world, "approval")
    saga = await world.orchestrator.saga(saga_id)
    patient = asyncio.ensure_future(world.orchestrator.wait_until_rest(saga, TIME_LIMIT))
    await settle()

    assert await world.orchestrator.wait_until_rest(saga, timedelta()) is not None
    assert list(world.driver.active) == [saga_id]
    patient.cancel()
    await asyncio.gather(patient, return_exceptions=True)

    assert world.driver.active == {}


async def test_webhook_is_sent_for_a_saga_reloaded_from_the_log(
    world: InMemoryService, log: TroubledLog
) -> None:
    request = StartSaga(
        entity_id=1, input={"step_data": ORDER_STEP_DATA}, callback_url="https://shop.example/told"
    )
    saga_id = (await world.orchestrator.start("approval", request)).saga.state.saga_id
    await await_idle(world.driver)
    assert world.driver.active == {}

    await world.orchestrator.execute(saga_id, APPROVED)
    await await_idle(world.driver)

    assert log.types(saga_id)[-1] == "CompletionWebhookDelivered"


async def test_concurrent_timer_and_command_are_handled_one_by_one(
    world: InMemoryService, log: TroubledLog
) -> None:
    saga_id = await waiting(world, "approval")
    world.clock.advance(timedelta(hours=24))

    world.driver.timers.step()
    await world.orchestrator.execute(saga_id, Cancel())
    await await_idle(world.driver)

    types = log.types(saga_id)
    assert (types.count("StepRejected"), types[-1]) == (1, "SagaCompensated")
    assert await status_of(world, saga_id) == "compensated"


async def settle() -> None:
    """Let every task go as far as it can."""
    for _ in range(20):
        await asyncio.sleep(0)
