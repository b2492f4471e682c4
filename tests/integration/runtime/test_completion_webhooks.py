"""Whoever asked to be told of a rest is told of it, at least once."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import timedelta
from itertools import repeat

from saga_orchestrator.fsm.inputs import Compensate, StartSaga
from saga_orchestrator.fsm.runtime.completion_webhooks import CompletionWebhooks, PendingWebhooks
from saga_orchestrator.fsm.saga import Saga
from saga_orchestrator.tests.integration.runtime.failing_log import TroubledLog
from saga_orchestrator.tests.support.in_memory_service import (
    ORDER_STEP_DATA,
    TIME_LIMIT,
    InMemoryService,
    in_memory_service,
)
from saga_orchestrator.tests.support.virtual_time import await_idle

REQUEST = StartSaga(
    entity_id=1, input={"step_data": ORDER_STEP_DATA}, callback_url="https://shop.example/told"
)


class Receiver:
    """Refuses as often as it is told to."""

    def __init__(self, refusals: int = 0) -> None:
        self.refusals, self.received = refusals, list[Saga]()
        self.attempts: list[int] = []
        self.asked = asyncio.Event()

    async def send(self, saga: Saga, attempt: int) -> bool:
        self.received.append(saga)
        self.attempts.append(attempt)
        self.asked.set()
        self.refusals -= 1
        return self.refusals < 0


class Impatient(CompletionWebhooks):
    """Tries again at once."""

    def _pauses(self) -> Iterator[float]:
        return repeat(0.0)


def received_by(service: InMemoryService, receiver: Receiver) -> Receiver:
    service.driver.webhooks = Impatient(receiver, service.clock)
    return receiver


async def start(service: InMemoryService) -> str:
    return (await service.orchestrator.start("order_processing", REQUEST)).saga.state.saga_id


async def test_webhook_is_sent_at_rest_and_its_delivery_is_recorded(
    service: InMemoryService, log: TroubledLog
) -> None:
    receiver = received_by(service, Receiver())

    saga_id = await start(service)
    await await_idle(service.driver)

    assert [saga.state.status for saga in receiver.received] == ["completed"]
    assert log.types(saga_id)[-2:] == ["SagaCompleted", "CompletionWebhookDelivered"]
    assert service.driver.active == {}


async def test_webhook_without_a_2xx_is_repeated(
    service: InMemoryService, log: TroubledLog
) -> None:
    receiver = received_by(service, Receiver(refusals=3))

    saga_id = await start(service)
    await await_idle(service.driver)

    assert len(receiver.received) == 4
    assert log.types(saga_id).count("CompletionWebhookDelivered") == 1


async def test_next_rest_sends_a_webhook_too(service: InMemoryService) -> None:
    receiver = received_by(service, Receiver())
    saga_id = await start(service)
    await await_idle(service.driver)

    await service.orchestrator.execute(saga_id, Compensate())
    await await_idle(service.driver)

    assert [saga.state.status for saga in receiver.received] == ["completed", "compensated"]


async def test_undelivered_webhook_is_sent_by_the_next_process(
    service: InMemoryService, log: TroubledLog
) -> None:
    receiver = Receiver(refusals=1_000_000)
    service.driver.webhooks = CompletionWebhooks(receiver, service.clock)
    saga_id = await start(service)
    await receiver.asked.wait()
    restarted = await in_memory_service(store=log.store)
    next_receiver = received_by(restarted, Receiver())

    assert await restarted.recover() == 1

    await await_idle(restarted.driver)
    assert [saga.state.saga_id for saga in next_receiver.received] == [saga_id]
    assert log.types(saga_id)[-1] == "CompletionWebhookDelivered"


async def test_stop_does_not_wait_for_the_next_attempt(service: InMemoryService) -> None:
    receiver = Receiver(refusals=1_000_000)
    service.driver.webhooks = CompletionWebhooks(receiver, service.clock)
    await start(service)
    await receiver.asked.wait()

    async with asyncio.timeout(TIME_LIMIT.total_seconds()):
        await service.driver.drain(timedelta(hours=1))

    assert len(receiver.received) == 1


async def test_pending_webhooks_are_reported_with_their_age_until_delivery(
    service: InMemoryService,
) -> None:
    receiver = Receiver(refusals=1_000_000)
    callbacks = service.driver.webhooks = CompletionWebhooks(receiver, service.clock)
    assert callbacks.pending() is None
    saga_id = await start(service)
    await receiver.asked.wait()

    service.clock.advance(timedelta(minutes=7))

    assert callbacks.pending() == PendingWebhooks(1, timedelta(minutes=7), saga_id)
    await service.driver.drain(timedelta(hours=1))
    assert callbacks.pending() is None


async def test_age_of_a_pending_webhook_survives_a_restart(
    service: InMemoryService, log: TroubledLog
) -> None:
    receiver = Receiver(refusals=1_000_000)
    service.driver.webhooks = CompletionWebhooks(receiver, service.clock)
    saga_id = await start(service)
    await receiver.asked.wait()
    restarted = await in_memory_service(store=log.store)
    restarted.clock.advance(timedelta(hours=1))
    next_receiver = Receiver(refusals=1_000_000)
    callbacks = restarted.driver.webhooks = CompletionWebhooks(next_receiver, restarted.clock)

    await restarted.recover()
    await next_receiver.asked.wait()

    assert callbacks.pending() == PendingWebhooks(1, timedelta(hours=1), saga_id)
    await restarted.driver.drain(timedelta())


async def test_sender_gets_the_number_of_the_attempt(service: InMemoryService) -> None:
    receiver = received_by(service, Receiver(refusals=2))

    await start(service)
    await await_idle(service.driver)

    assert receiver.attempts == [1, 2, 3]
