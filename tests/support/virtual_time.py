"""Time that passes as fast as a world can follow: from one wake-up to the next."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from saga_orchestrator.fsm.runtime.driver import Driver
from saga_orchestrator.fsm.saga import Saga
from saga_orchestrator.tests.support.in_memory_service import TIME_LIMIT, InMemoryService


async def await_idle(driver: Driver, within: timedelta = TIME_LIMIT) -> None:
    """Until every task has come to its end. Not for worlds in which a call is held."""
    async with asyncio.timeout(within.total_seconds()):
        while tasks := driver.tasks.running:
            await asyncio.wait(tasks)


def advance_to_next_wakeup(world: InMemoryService) -> int:
    """How many sagas were woken; none if nobody waits for a time."""
    due = world.driver.timers._due.values()
    if not due:
        return 0
    world.clock.time = max(world.clock.time, min(due))
    return world.driver.timers.step()


async def run_to_rest(world: InMemoryService, saga_id: str) -> Saga:
    """The saga once it rests, whatever it has to wait for."""
    await await_idle(world.driver)
    while advance_to_next_wakeup(world):
        await await_idle(world.driver)
    return await world.await_rest(saga_id)
