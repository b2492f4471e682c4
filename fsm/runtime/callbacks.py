"""Telling whoever asked for it that a saga rests: at least once, until the answer is 2xx.

That it was told is an event, so a crash repeats the telling at most. The pauses between tries are
not recorded: after a crash it is tried at once.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from itertools import count
from typing import Protocol

from ..retry import RetryPolicy
from ..saga import Saga
from .clock import Clock

PAUSES = RetryPolicy(attempts=None, first=timedelta(seconds=2), cap=timedelta(minutes=5))


class CallbackSender(Protocol):
    async def send(self, saga: Saga) -> bool:
        """Whether the callback of `saga` took its status. Trouble is a no."""


class Callbacks:
    def __init__(self, sender: CallbackSender, clock: Clock) -> None:
        self.sender, self.clock = sender, clock

    async def tell(self, saga: Saga) -> bool:
        return await self.sender.send(saga)

    def pauses(self) -> Iterator[float]:
        """Seconds after each try, without end."""
        for attempt in count(1):
            yield PAUSES.delay(attempt, self.clock.jitter()).total_seconds()
