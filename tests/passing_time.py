"""Time that passes as fast as a world can follow: from one wake-up to the next."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from saga_orchestrator.fsm.runtime.driver import Driver
from saga_orchestrator.fsm.saga import Saga
from saga_orchestrator.tests.world import ENOUGH, World


async def quiet(driver: Driver, within: timedelta = ENOUGH) -> None:
    """Until every task has come to its end. Not for worlds in which a call is held."""
    async with asyncio.timeout(within.total_seconds()):
        while tasks := driver.tasks.running:
            await asyncio.wait(tasks)


def skip_to_next_wake_up(world: World) -> int:
    """How many sagas were woken; none if nobody waits for a time."""
    due = world.driver.timers._due.values()
    if not due:
        return 0
    world.clock.time = max(world.clock.time, min(due))
    return world.driver.timers.step()


async def at_rest(world: World, saga_id: str) -> Saga:
    """The saga once it rests, whatever it has to wait for."""
    await quiet(world.driver)
    while skip_to_next_wake_up(world):
        await quiet(world.driver)
    return await world.rested(saga_id)
