"""What the HTTP interface asks for: starting once, waiting, looking back."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest
from saga_orchestrator.eventstore.event import StreamId
from saga_orchestrator.fsm.definitions.findings import InvalidInput
from saga_orchestrator.fsm.inputs import Compensate, StartSaga
from saga_orchestrator.fsm.runtime.errors import (
    DefinitionNotFound,
    Unavailable,
)
from saga_orchestrator.fsm.runtime.orchestrator import IdempotencyKey
from saga_orchestrator.tests.integration.runtime.failing_log import TroubledLog
from saga_orchestrator.tests.support.in_memory_service import (
    NOON,
    ORDER_STEP_DATA,
    TIME_LIMIT,
    InMemoryService,
    in_memory_service,
)
from saga_orchestrator.tests.support.virtual_time import await_idle

REQUEST = StartSaga(entity_id=1, input={"step_data": ORDER_STEP_DATA})
MOMENT = timedelta(milliseconds=5)
KEY = IdempotencyKey("order-1", b"digest")
NOBODY = "018f0000-0000-7000-8000-000000000003"


async def test_twenty_starts_on_a_slow_log_are_one_saga(
    service: InMemoryService, log: TroubledLog
) -> None:
    log.slow = asyncio.Event()
    starting = [
        asyncio.ensure_future(service.orchestrator.start("order_processing", REQUEST, key=KEY))
        for _ in range(20)
    ]
    await log.asked.wait()
    for start in starting[:10]:
        start.cancel()

    log.slow.set()
    started = await asyncio.gather(*starting[10:])

    assert len({start.saga.state.saga_id for start in started}) == 1
    assert {start.replayed for start in started} == {True}
    await await_idle(service.driver)
    assert [event.type for event in service.events].count("SagaStarted") == 1


async def test_key_outlives_the_saga_and_a_restart(
    service: InMemoryService, log: TroubledLog
) -> None:
    first = await service.orchestrator.start("order_processing", REQUEST, key=KEY)
    await service.await_rest(first.saga.state.saga_id)
    restarted = await in_memory_service(store=log.store)

    again = await restarted.orchestrator.start("order_processing", REQUEST, key=KEY)

    assert (again.replayed, again.saga.state.status) == (True, "completed")
    assert again.saga.state.saga_id == first.saga.state.saga_id


async def test_key_of_a_start_that_recorded_nothing_starts_the_saga(
    service: InMemoryService, log: TroubledLog
) -> None:
    bound = await log.claim_key(
        KEY.key, digest=KEY.digest, stream_id=StreamId(NOBODY), claimed_at=NOON
    )

    started = await service.orchestrator.start("order_processing", REQUEST, key=KEY)

    assert (started.saga.state.saga_id, started.replayed) == (bound.stream_id, False)
    assert (await service.await_rest(NOBODY)).state.status == "completed"


async def test_refused_start_records_nothing_and_binds_no_key(
    service: InMemoryService, log: TroubledLog
) -> None:
    empty = StartSaga(entity_id=1, input={"step_data": []})

    with pytest.raises(InvalidInput):
        await service.orchestrator.start("order_processing", empty, key=KEY)
    with pytest.raises(DefinitionNotFound):
        await service.orchestrator.start("journey", REQUEST, key=KEY)
    with pytest.raises(DefinitionNotFound):
        await service.orchestrator.start("order_processing", REQUEST, version=2, key=KEY)

    assert (service.events, log.store.keys) == ([], {})


async def test_each_client_waits_for_its_own_time(service: InMemoryService) -> None:
    service.participants.hold("create_order")
    saga = await service.start("order_processing")
    patient = asyncio.ensure_future(service.orchestrator.wait_until_rest(saga, TIME_LIMIT))

    async with asyncio.timeout(TIME_LIMIT.total_seconds()):
        seen = [await service.orchestrator.wait_until_rest(saga, MOMENT) for _ in range(2)]
    waits_still = not patient.done()
    service.participants.release("create_order")

    assert [each_saga.state.status for each_saga in seen] == ["running", "running"]
    assert waits_still
    assert (await patient).state.status == "completed"


async def test_waiting_client_gets_the_requested_version(service: InMemoryService) -> None:
    service.participants.hold("create_order")
    saga_id = (await service.start("order_processing")).state.saga_id
    waiting = [
        asyncio.ensure_future(service.orchestrator.saga_from(saga_id, version, TIME_LIMIT))
        for version in (1, 2, 3, 4, 8)
    ]
    await service.participants.await_call("create_order")

    service.participants.release("create_order")

    assert [saga.state.version for saga in await asyncio.gather(*waiting)] == [2, 2, 4, 4, 8]


async def test_saga_in_memory_equals_its_replayed_stream(service: InMemoryService) -> None:
    saga_id = (await service.start_held("process_payment")).state.saga_id

    live = await service.orchestrator.saga(saga_id)

    assert live is service.driver.active[saga_id].saga
    assert (await service.orchestrator.saga_as_of(saga_id)).state == live.state


async def test_compensate_is_idempotent(service: InMemoryService) -> None:
    saga_id = (await service.start("order_processing")).state.saga_id
    await service.await_rest(saga_id)

    await asyncio.gather(*(service.orchestrator.execute(saga_id, Compensate()) for _ in range(20)))

    assert (await service.await_rest(saga_id)).state.status == "compensated"
    assert [event.type for event in service.events].count("CompensationStarted") == 1
    assert service.participants.paths[3:] == [
        "POST /payments/8/compensate",
        "POST /orders/7/compensate",
    ]


async def test_fenced_start_with_a_key_can_be_repeated(
    service: InMemoryService, log: TroubledLog
) -> None:
    stranger = await in_memory_service(store=log.store)

    with pytest.raises(Unavailable):
        await service.orchestrator.start("order_processing", REQUEST, key=KEY)

    started = await stranger.orchestrator.start("order_processing", REQUEST, key=KEY)
    assert started.replayed is False
    assert (await stranger.await_rest(started.saga.state.saga_id)).state.status == "completed"
