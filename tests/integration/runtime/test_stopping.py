"""Stopping, dying, and taking up again."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest
from saga_orchestrator.fsm.call_outcome import Response
from saga_orchestrator.fsm.inputs import Compensate, StartSaga
from saga_orchestrator.fsm.runtime.errors import Unavailable
from saga_orchestrator.tests.integration.runtime.failing_log import TroubledLog
from saga_orchestrator.tests.support.in_memory_service import (
    ORDER_STEP_DATA,
    TIME_LIMIT,
    InMemoryService,
    in_memory_service,
)
from saga_orchestrator.tests.support.virtual_time import await_idle, run_to_rest, settle

NO = Response(409, {}, b'{"detail": "no"}')
OOPS = Response(500, {}, b"")
REQUEST = StartSaga(entity_id=1, input={"step_data": ORDER_STEP_DATA})


async def test_waiting_client_is_answered_when_the_service_begins_to_stop(
    service: InMemoryService,
) -> None:
    service.participants.hold("create_order")
    saga = await service.start("order_processing")
    for_long = timedelta(hours=1)
    waiting = [
        asyncio.ensure_future(service.orchestrator.wait_until_rest(saga, for_long))
        for _ in range(3)
    ]
    await service.participants.await_call("create_order")
    await settle()

    service.driver.begin_stop()

    async with asyncio.timeout(TIME_LIMIT.total_seconds()):
        assert [each_saga.state.status for each_saga in await asyncio.gather(*waiting)] == [
            "running"
        ] * 3
        assert await service.orchestrator.wait_until_rest(saga, for_long) is saga


async def test_drain_records_results_and_intends_nothing_new(
    service: InMemoryService, log: TroubledLog
) -> None:
    saga_id = (await service.start_held("process_payment")).state.saga_id
    draining = asyncio.ensure_future(service.driver.drain(TIME_LIMIT))
    await asyncio.sleep(0)

    service.participants.release("process_payment")
    await draining

    assert log.types(saga_id)[-1] == "StepSucceeded"
    assert service.participants.paths == ["POST /orders", "POST /payments"]
    restarted = await in_memory_service(store=log.store)
    assert await restarted.recover() == 1
    assert (await run_to_rest(restarted, saga_id)).state.status == "completed"
    assert restarted.participants.paths == ["POST /orders/7/confirm"]


async def test_drain_drops_unanswered_calls_when_its_time_is_over(
    service: InMemoryService, log: TroubledLog
) -> None:
    saga_id = (await service.start_held("process_payment")).state.saga_id

    await asyncio.wait_for(service.driver.drain(timedelta()), TIME_LIMIT.total_seconds())

    assert service.driver.tasks.running == set()
    assert log.types(saga_id)[-1] == "StepCalled"


async def test_rejection_during_the_drain_is_compensated_by_the_next_process(
    service: InMemoryService, log: TroubledLog
) -> None:
    service.participants.hold("process_payment")
    service.participants.will_reply("process_payment", NO)
    saga_id = (await service.start("order_processing")).state.saga_id
    await service.participants.await_call("process_payment")
    draining = asyncio.ensure_future(service.driver.drain(TIME_LIMIT))
    await asyncio.sleep(0)

    service.participants.release("process_payment")
    await draining

    assert log.types(saga_id)[-1] == "CompensationStarted"
    restarted = await in_memory_service(store=log.store)
    await restarted.recover()
    assert (await run_to_rest(restarted, saga_id)).state.status == "compensated"
    assert restarted.participants.paths == ["POST /orders/7/compensate"]


async def test_no_timer_sends_anything_while_the_service_stops(service: InMemoryService) -> None:
    service.participants.will_reply("create_order", OOPS)
    await service.start("order_processing")
    await await_idle(service.driver)
    service.driver.begin_stop()

    await service.advance(timedelta(seconds=60))

    await await_idle(service.driver)
    assert len(service.participants.sent) == 1


async def test_compensate_while_stopping_is_recorded_and_not_sent(
    service: InMemoryService, log: TroubledLog
) -> None:
    saga_id = (await service.start("order_processing")).state.saga_id
    await service.await_rest(saga_id)
    service.driver.begin_stop()

    saga = await service.orchestrator.execute(saga_id, Compensate())

    assert saga.state.status == "compensating"
    await await_idle(service.driver)
    assert log.types(saga_id)[-1] == "CompensationStarted"
    assert len(service.participants.sent) == 3


async def test_start_with_a_cancelled_caller_is_driven(
    service: InMemoryService, log: TroubledLog
) -> None:
    log.slow = asyncio.Event()
    starting = asyncio.ensure_future(service.orchestrator.start("order_processing", REQUEST))
    await log.asked.wait()
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting

    log.slow.set()

    await await_idle(service.driver)
    assert [event.type for event in service.events][-1] == "SagaCompleted"
    assert len(service.participants.sent) == 3


async def test_first_result_of_a_start_overtaken_by_the_stop_is_recorded(
    service: InMemoryService, log: TroubledLog
) -> None:
    log.slow = asyncio.Event()
    starting = asyncio.ensure_future(service.orchestrator.start("order_processing", REQUEST))
    await log.asked.wait()
    draining = asyncio.ensure_future(service.driver.drain(TIME_LIMIT))
    await asyncio.sleep(0)

    log.slow.set()
    started = await starting
    await draining

    assert log.types(started.saga.state.saga_id)[-1] == "StepSucceeded"
    with pytest.raises(Unavailable):
        await service.orchestrator.start("order_processing", REQUEST)
    restarted = await in_memory_service(store=log.store)
    await restarted.recover()
    saga = await run_to_rest(restarted, started.saga.state.saga_id)
    assert saga.state.status == "completed"
