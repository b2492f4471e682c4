"""Whoever asked to be told of a rest is told of it, at least once."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import timedelta
from itertools import repeat

from saga_orchestrator.fsm.happening import CompensationAsked, StartRequested
from saga_orchestrator.fsm.runtime.callbacks import Callbacks, Owed
from saga_orchestrator.fsm.saga import Saga
from saga_orchestrator.tests.integration.runtime.troubled_log import TroubledLog
from saga_orchestrator.tests.passing_time import quiet
from saga_orchestrator.tests.world import ENOUGH, ORDER, World, a_world

REQUEST = StartRequested(
    entity_id=1, input={"step_data": ORDER}, callback_url="https://shop.example/told"
)


class Receiver:
    """Refuses as often as it is told to."""

    def __init__(self, refusals: int = 0) -> None:
        self.refusals, self.told = refusals, list[Saga]()
        self.attempts: list[int] = []
        self.asked = asyncio.Event()

    async def send(self, saga: Saga, attempt: int) -> bool:
        self.told.append(saga)
        self.attempts.append(attempt)
        self.asked.set()
        self.refusals -= 1
        return self.refusals < 0


class Impatient(Callbacks):
    """Tries again at once."""

    def _pauses(self) -> Iterator[float]:
        return repeat(0.0)


def told_by(world: World, receiver: Receiver) -> Receiver:
    world.driver.callbacks = Impatient(receiver, world.clock)
    return receiver


async def start(world: World) -> str:
    return (await world.orchestrator.start("order_processing", REQUEST)).saga.state.saga_id


async def test_the_callback_is_told_of_the_rest_and_that_it_was_is_recorded(
    world: World, log: TroubledLog
) -> None:
    receiver = told_by(world, Receiver())

    saga_id = await start(world)
    await quiet(world.driver)

    assert [one.state.status for one in receiver.told] == ["completed"]
    assert log.types(saga_id)[-2:] == ["SagaCompleted", "CompletionWebhookDelivered"]
    assert world.driver.live == {}


async def test_a_callback_that_does_not_take_it_is_told_again(
    world: World, log: TroubledLog
) -> None:
    receiver = told_by(world, Receiver(refusals=3))

    saga_id = await start(world)
    await quiet(world.driver)

    assert len(receiver.told) == 4
    assert log.types(saga_id).count("CompletionWebhookDelivered") == 1


async def test_nobody_is_told_who_did_not_ask(world: World) -> None:
    receiver = told_by(world, Receiver())

    await world.rested((await world.start("order_processing")).state.saga_id)
    await quiet(world.driver)

    assert receiver.told == []


async def test_the_next_rest_is_told_too(world: World) -> None:
    receiver = told_by(world, Receiver())
    saga_id = await start(world)
    await quiet(world.driver)

    await world.orchestrator.ask(saga_id, CompensationAsked())
    await quiet(world.driver)

    assert [one.state.status for one in receiver.told] == ["completed", "compensated"]


async def test_the_next_process_tells_what_the_last_one_could_not(
    world: World, log: TroubledLog
) -> None:
    receiver = Receiver(refusals=1_000_000)
    world.driver.callbacks = Callbacks(receiver, world.clock)
    saga_id = await start(world)
    await receiver.asked.wait()
    restarted = await a_world(store=log.store)
    heard = told_by(restarted, Receiver())

    assert await restarted.recover() == 1

    await quiet(restarted.driver)
    assert [one.state.saga_id for one in heard.told] == [saga_id]
    assert log.types(saga_id)[-1] == "CompletionWebhookDelivered"


async def test_a_stop_does_not_wait_for_the_next_try(world: World) -> None:
    receiver = Receiver(refusals=1_000_000)
    world.driver.callbacks = Callbacks(receiver, world.clock)
    await start(world)
    await receiver.asked.wait()

    async with asyncio.timeout(ENOUGH.total_seconds()):
        await world.driver.drain(timedelta(hours=1))

    assert len(receiver.told) == 1


async def test_what_is_owed_is_told_with_how_long_and_until_it_is_taken(world: World) -> None:
    receiver = Receiver(refusals=1_000_000)
    callbacks = world.driver.callbacks = Callbacks(receiver, world.clock)
    assert callbacks.owed() is None
    saga_id = await start(world)
    await receiver.asked.wait()

    world.clock.advance(timedelta(minutes=7))

    assert callbacks.owed() == Owed(1, timedelta(minutes=7), saga_id)
    await world.driver.drain(timedelta(hours=1))
    assert callbacks.owed() is None


async def test_how_long_it_is_owed_outlives_the_process(world: World, log: TroubledLog) -> None:
    receiver = Receiver(refusals=1_000_000)
    world.driver.callbacks = Callbacks(receiver, world.clock)
    saga_id = await start(world)
    await receiver.asked.wait()
    restarted = await a_world(store=log.store)
    restarted.clock.advance(timedelta(hours=1))
    next_receiver = Receiver(refusals=1_000_000)
    callbacks = restarted.driver.callbacks = Callbacks(next_receiver, restarted.clock)

    await restarted.recover()
    await next_receiver.asked.wait()

    assert callbacks.owed() == Owed(1, timedelta(hours=1), saga_id)
    await restarted.driver.drain(timedelta())


async def test_a_sender_is_told_the_number_of_the_try(world: World) -> None:
    receiver = told_by(world, Receiver(refusals=2))

    await start(world)
    await quiet(world.driver)

    assert receiver.attempts == [1, 2, 3]
