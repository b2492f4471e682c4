"""Telling whoever asked for it that a saga rests: at least once, until the answer is 2xx.

That it was told is an event, so a crash repeats the telling at most. The pauses between tries are
not recorded: after a crash it is tried at once.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from itertools import count
from typing import TYPE_CHECKING, Protocol

from ..happening import CallbackTold
from ..retry import RetryPolicy
from ..saga import Saga
from .clock import Clock

if TYPE_CHECKING:
    from .driver import Driver

PAUSES = RetryPolicy(attempts=None, first=timedelta(seconds=2), cap=timedelta(minutes=5))


class CallbackSender(Protocol):
    async def send(self, saga: Saga) -> bool:
        """Whether the callback of `saga` took its status. Trouble is a no."""


class Callbacks:
    def __init__(self, sender: CallbackSender, clock: Clock) -> None:
        self.sender, self.clock = sender, clock
        self._telling: set[str] = set()

    def is_telling(self, saga_id: str) -> bool:
        return saga_id in self._telling

    async def keep_telling(self, driver: Driver, saga_id: str) -> None:
        """Until it was told, or the saga has moved on: then its next rest will be told."""
        self._telling.add(saga_id)
        try:
            for pause in self._pauses():
                async with driver.holding(saga_id) as live:
                    saga = live.saga
                if driver.stopping or not saga.owes_callback:
                    return
                if await self.sender.send(saga):
                    told = CallbackTold(rested_version=saga.state.rested_version)
                    await driver.meet(saga_id, told)
                else:
                    await driver.pause(pause)
        finally:
            self._telling.discard(saga_id)

    def _pauses(self) -> Iterator[float]:
        """Seconds after each try, without end."""
        for attempt in count(1):
            yield PAUSES.delay(attempt, self.clock.jitter()).total_seconds()
