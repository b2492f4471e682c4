"""Virtual time: the clock of a service in memory is advanced from one wake-up to the next."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Final

from saga_orchestrator.fsm.runtime.driver import Driver
from saga_orchestrator.fsm.saga import Saga
from saga_orchestrator.tests.support.in_memory_service import TIME_LIMIT, InMemoryService

LOOP_TURNS: Final = 40


async def await_idle(driver: Driver, within: timedelta = TIME_LIMIT) -> None:
    """Wait until every task has ended. For services in which no call is held."""
    async with asyncio.timeout(within.total_seconds()):
        while tasks := driver.tasks.running:
            await asyncio.wait(tasks)


async def settle() -> None:
    """Let every task go as far as it can without an answer from outside."""
    for _ in range(LOOP_TURNS):
        await asyncio.sleep(0)


def advance_to_next_wakeup(service: InMemoryService) -> int:
    """Advance the clock to the next wake-up; return how many sagas this has woken, or 0."""
    due = service.driver.timers._due.values()
    if not due:
        return 0
    service.clock.time = max(service.clock.time, min(due))
    return service.driver.timers.step()


async def run_to_rest(service: InMemoryService, saga_id: str) -> Saga:
    """Advance the clock until the saga rests, and return it."""
    await await_idle(service.driver)
    while advance_to_next_wakeup(service):
        await await_idle(service.driver)
    return await service.await_rest(saga_id)
