"""A start and its first conversation: one task, whether anybody still waits for it or not.

`recorded` is told as soon as the start is durable, or why it is not; the task then goes on with
what the saga calls first.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ...eventstore import Fenced, LogOverloaded, LogUnavailable, RecordedEvent
from ..decide import Decision, start
from ..definition import Definition
from ..happening import StartRequested
from .errors import InDoubt, LogBusy, NotDrivenHere
from .live import Live

if TYPE_CHECKING:
    from .driver import Driver


class Start:
    def __init__(
        self, driver: Driver, definition: Definition, saga_id: str, request: StartRequested
    ) -> None:
        self.driver, self.definition = driver, definition
        self.saga_id, self.request = saga_id, request
        self.recorded: asyncio.Future[Live] = asyncio.get_running_loop().create_future()

    async def run(self) -> None:
        try:
            decision, events = await self._record()
        except asyncio.CancelledError:
            self._fail(InDoubt("the start was dropped while it was recorded"))
            raise
        except Exception as error:  # noqa: BLE001 - whoever asked for the start is told
            self._fail(error)
            return
        live = self._publish(decision, events)
        if decision.calls and self.driver.still_drives(self.saga_id):
            first, *others = decision.calls
            self.driver.launch(live, others)
            await self.driver.converse(live, first)

    async def _record(self) -> tuple[Decision, Sequence[RecordedEvent]]:
        now = self.driver.clock.now()
        decision = start(self.definition, self.saga_id, self.request, now=now)
        try:
            return decision, await self.driver.append(0, decision)
        except LogUnavailable as error:
            raise InDoubt(str(error)) from error
        except LogOverloaded as error:
            raise LogBusy(str(error)) from error
        except Fenced as error:
            raise NotDrivenHere(self.saga_id) from error

    def _publish(self, decision: Decision, events: Sequence[RecordedEvent]) -> Live:
        live = Live(decision.saga)
        self.driver.publish(live, decision.saga, events)
        if not self.recorded.done():
            self.recorded.set_result(live)
        self.driver.obey(decision)
        return live

    def _fail(self, error: Exception) -> None:
        if not self.recorded.done():
            self.recorded.set_exception(error)
            self.recorded.exception()  # whoever asked may have gone
