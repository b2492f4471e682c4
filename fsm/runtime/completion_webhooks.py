"""Telling whoever asked for it that a saga rests: at least once, until the answer is 2xx.

That it was told is an event, so a crash repeats the telling at most. The pauses between tries are
not recorded: after a crash it is tried at once.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import count
from operator import itemgetter
from typing import TYPE_CHECKING, NamedTuple, Protocol

from ..definitions.retry import RetryPolicy
from ..inputs import WebhookDelivered
from ..saga import Saga
from .clock import Clock

if TYPE_CHECKING:
    from .driver import Driver

RETRY_PAUSES = RetryPolicy(attempts=None, first=timedelta(seconds=2), cap=timedelta(minutes=5))


class PendingWebhooks(NamedTuple):
    """Callbacks that have not been taken yet: how many, and the saga that has owed one longest."""

    number: int
    oldest_age: timedelta
    saga_id: str


class WebhookSender(Protocol):
    async def send(self, saga: Saga, attempt: int) -> bool:
        """Whether the callback of `saga` took its status. Trouble is a no."""


class CompletionWebhooks:
    def __init__(self, sender: WebhookSender, clock: Clock) -> None:
        self.sender, self.clock = sender, clock
        self._pending_since: dict[str, datetime] = {}

    def is_delivering(self, saga_id: str) -> bool:
        return saga_id in self._pending_since

    def pending(self) -> PendingWebhooks | None:
        if not self._pending_since:
            return None
        saga_id, since = min(self._pending_since.items(), key=itemgetter(1))
        longest = max(self.clock.now() - since, timedelta())
        return PendingWebhooks(len(self._pending_since), longest, saga_id)

    async def deliver_until_acknowledged(self, driver: Driver, saga_id: str) -> None:
        """Until it was told, or the saga has moved on: then its next rest will be told."""
        self._pending_since[saga_id] = self.clock.now()
        try:
            for attempt, pause in enumerate(self._pauses(), 1):
                async with driver.acquire(saga_id) as live:
                    saga = live.saga
                if driver.stopping or not saga.has_pending_webhook:
                    return
                if attempt == 1:  # it may have rested before this process began
                    self._pending_since[saga_id] = saga.state.updated_at
                if await self.sender.send(saga, attempt):
                    told = WebhookDelivered(rest_version=saga.state.rest_version)
                    await driver.deliver(saga_id, told)
                else:
                    await driver.sleep(pause)
        finally:
            self._pending_since.pop(saga_id, None)

    def _pauses(self) -> Iterator[float]:
        """Seconds after each try, without end."""
        for attempt in count(1):
            yield RETRY_PAUSES.delay(attempt, self.clock.jitter()).total_seconds()
