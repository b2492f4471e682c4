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
from saga_orchestrator.tests.support.virtual_time import await_idle, run_to_rest, settle

THROTTLED = Response(429, {"retry-after": "60"}, b"")
APPROVED = SendSignal(name="approval", body={"by": "Ada"}, key="once")


@pytest.fixture
async def service(log: TroubledLog) -> AsyncIterator[InMemoryService]:
    made = await in_memory_service(APPROVAL, NAP, BLINK, ASYNCHRONOUS, log=log)
    yield made
    await made.driver.drain(timedelta())


async def waiting(service: InMemoryService, saga_type: str) -> str:
    """A saga that has got as far as it can by itself."""
    saga_id = (await service.start(saga_type)).state.saga_id
    await await_idle(service.driver)
    return saga_id


async def status_of(service: InMemoryService, saga_id: str) -> str:
    return (await service.orchestrator.saga(saga_id)).state.status


async def test_long_sleep_ends_by_timer_and_reload_from_the_log(
    service: InMemoryService,
) -> None:
    saga_id = await waiting(service, "nap")
    assert service.driver.active == {}

    assert await service.advance(timedelta(minutes=119)) == 0
    assert await service.advance(timedelta(minutes=1)) == 1
    await await_idle(service.driver)

    assert await status_of(service, saga_id) == "completed"
    assert service.participants.paths == ["POST /ask", "POST /ship"]
    assert service.driver.active == {}


async def test_saga_with_a_short_sleep_stays_in_memory(service: InMemoryService) -> None:
    saga_id = await waiting(service, "blink")

    assert list(service.driver.active) == [saga_id]
    assert await service.advance(MAX_SLEEP_IN_MEMORY) == 1
    await await_idle(service.driver)
    assert (await status_of(service, saga_id), service.driver.active) == ("completed", {})


async def test_signal_wakes_a_waiting_saga(service: InMemoryService, log: TroubledLog) -> None:
    saga_id = await waiting(service, "approval")
    assert service.driver.active == {}

    saga = await service.orchestrator.execute(saga_id, APPROVED)

    assert saga.outputs["approve"] == {"by": "Ada"}
    await await_idle(service.driver)
    assert (await status_of(service, saga_id), service.driver.active) == ("completed", {})
    assert log.types(saga_id).count("StepCalled") == 2


async def test_signal_sent_twenty_times_with_one_key_counts_once(
    service: InMemoryService, log: TroubledLog
) -> None:
    saga_id = await waiting(service, "approval")
    await service.orchestrator.execute(saga_id, Pause())

    await asyncio.gather(*(service.orchestrator.execute(saga_id, APPROVED) for _ in range(20)))

    assert log.types(saga_id).count("SignalReceived") == 1
    assert service.driver.active == {}


async def test_command_wakes_a_sleeping_saga(service: InMemoryService) -> None:
    saga_id = await waiting(service, "approval")

    await service.orchestrator.execute(saga_id, Cancel(reason="too late"))

    assert (await run_to_rest(service, saga_id)).state.status == "compensated"
    assert service.participants.paths == ["POST /ask", "POST /forget"]
    assert service.driver.timers._due == {}


async def test_pause_stops_the_timer_and_resume_postpones_it(service: InMemoryService) -> None:
    saga_id = await waiting(service, "nap")
    await service.orchestrator.execute(saga_id, Pause())
    assert (service.driver.active, service.driver.timers._due) == ({}, {})
    assert await service.advance(timedelta(hours=3)) == 0

    await service.orchestrator.execute(saga_id, Resume())

    assert service.driver.timers._due == {saga_id: NOON + timedelta(hours=5)}
    assert service.driver.active == {}
    assert await service.advance(timedelta(hours=2)) == 1
    await await_idle(service.driver)
    assert await status_of(service, saga_id) == "completed"


async def test_long_back_off_is_spent_outside_memory_and_can_be_cut_short(
    service: InMemoryService,
) -> None:
    service.participants.will_reply("ask", THROTTLED)
    saga_id = await waiting(service, "nap")
    assert service.driver.active == {}

    await service.orchestrator.execute(saga_id, Retry())
    await await_idle(service.driver)

    assert service.participants.paths == ["POST /ask", "POST /ask"]
    assert [call.headers["saga-attempt"] for call in service.participants.sent] == ["1", "1"]


async def test_accepted_step_is_awaited_outside_memory(service: InMemoryService) -> None:
    service.participants.will_reply("print", Response(202, {}, b""))
    saga_id = await waiting(service, "asynchronous")
    assert service.driver.active == {}

    report = StepCallback(step="print", done=True, output={"pages": 3})
    saga = await service.orchestrator.complete_step(saga_id, report)

    assert (saga.state.status, saga.outputs) == ("completed", {"print": {"pages": 3}})
    assert service.driver.active == {}


async def test_watched_saga_stays_in_memory_and_its_watcher_is_notified(
    service: InMemoryService,
) -> None:
    saga_id = await waiting(service, "approval")
    saga = await service.orchestrator.saga(saga_id)
    watching = [
        asyncio.ensure_future(service.orchestrator.wait_until_rest(saga, TIME_LIMIT))
        for _ in range(3)
    ]
    await settle()
    assert list(service.driver.active) == [saga_id]

    await service.orchestrator.execute(saga_id, APPROVED)

    assert [each_saga.state.status for each_saga in await asyncio.gather(*watching)] == [
        "completed"
    ] * 3
    assert service.driver.active == {}


async def test_client_can_wait_for_a_version(service: InMemoryService) -> None:
    saga_id = await waiting(service, "approval")
    version = (await service.orchestrator.saga(saga_id)).state.version
    watching = asyncio.ensure_future(
        service.orchestrator.saga_from(saga_id, version + 1, TIME_LIMIT)
    )
    await settle()

    await service.orchestrator.execute(saga_id, APPROVED)

    assert (await watching).state.version > version


async def test_saga_is_evicted_when_its_last_watcher_is_gone(service: InMemoryService) -> None:
    saga_id = await waiting(service, "approval")
    saga = await service.orchestrator.saga(saga_id)
    patient = asyncio.ensure_future(service.orchestrator.wait_until_rest(saga, TIME_LIMIT))
    await settle()

    assert await service.orchestrator.wait_until_rest(saga, timedelta()) is not None
    assert list(service.driver.active) == [saga_id]
    patient.cancel()
    await asyncio.gather(patient, return_exceptions=True)

    assert service.driver.active == {}


async def test_webhook_is_sent_for_a_saga_reloaded_from_the_log(
    service: InMemoryService, log: TroubledLog
) -> None:
    request = StartSaga(
        entity_id=1, input={"step_data": ORDER_STEP_DATA}, callback_url="https://shop.example/told"
    )
    saga_id = (await service.orchestrator.start("approval", request)).saga.state.saga_id
    await await_idle(service.driver)
    assert service.driver.active == {}

    await service.orchestrator.execute(saga_id, APPROVED)
    await await_idle(service.driver)

    assert log.types(saga_id)[-1] == "CompletionWebhookDelivered"


async def test_concurrent_timer_and_command_are_handled_one_by_one(
    service: InMemoryService, log: TroubledLog
) -> None:
    saga_id = await waiting(service, "approval")
    service.clock.advance(timedelta(hours=24))

    service.driver.timers.step()
    await service.orchestrator.execute(saga_id, Cancel())
    await await_idle(service.driver)

    types = log.types(saga_id)
    assert (types.count("StepRejected"), types[-1]) == (1, "SagaCompensated")
    assert await status_of(service, saga_id) == "compensated"
