"""A start and its first conversation: one task, whether anybody still waits for it or not.

`recorded` is told as soon as the start is durable, or why it is not; the task then goes on with
what the saga calls first.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from ...eventstore import Fenced, LogOverloaded, LogUnavailable
from ..decide import start
from ..definition import Definition
from ..happening import StartRequested
from .errors import InDoubt, not_recorded
from .live import Live

if TYPE_CHECKING:
    from .driver import Driver


class Start:
    def __init__(
        self, driver: Driver, definition: Definition, saga_id: str, request: StartRequested
    ) -> None:
        self.driver, self.definition = driver, definition
        self.saga_id, self.request = saga_id, request
        self.recorded: asyncio.Future[Live] = driver.tasks.loop.create_future()

    async def run(self) -> None:
        driver = self.driver
        try:
            now = driver.clock.now()
            held = driver.executor.held(self.definition)
            decision = start(self.definition, self.saga_id, self.request, now=now, held=held)
            recorded = await driver.append(0, decision)
        except (LogOverloaded, Fenced, LogUnavailable) as error:
            if isinstance(error, Fenced):
                driver.fenced.add(error.shard_id)
            self._fail(not_recorded(error, self.saga_id))
            return
        except Exception as error:  # noqa: BLE001 - whoever asked for the start is told
            self._fail(error)
            return
        live = Live(decision.saga)
        driver.publish(live, decision, recorded)
        if held:
            driver.wait_for_participants(decision.saga, held)
        if not self.recorded.done():
            self.recorded.set_result(live)
        if decision.calls and live.shard_id in driver.epochs:
            first, *others = decision.calls
            driver.launch(live, others)
            await driver.converse(live, first)

    def end(self, _: asyncio.Task[None]) -> None:
        """Its task is over, and may have been dropped at any time, even before it began."""
        if not self.recorded.done():
            self._fail(InDoubt("the start was dropped while it was recorded"))

    def _fail(self, error: Exception) -> None:
        if not self.recorded.done():
            self.recorded.set_exception(error)
            self.recorded.exception()  # whoever asked may have gone
