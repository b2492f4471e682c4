"""Completion webhooks: notify a client that its saga is at rest, at least once, until a 2xx.

The delivery is recorded as an event, so a crash repeats it at most. The pauses between attempts are
not recorded: after a crash the webhook is sent at once.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import count
from operator import itemgetter
from typing import Final, NamedTuple, Protocol

from ..definitions.retry import RetryPolicy
from ..inputs import WebhookDelivered
from ..saga import Saga
from .active_saga import SagaHost
from .clock import Clock

RETRY_PAUSES: Final = RetryPolicy(
    attempts=None, first=timedelta(seconds=2), cap=timedelta(minutes=5)
)


class PendingWebhooks(NamedTuple):
    """Undelivered webhooks: their number, and the saga whose webhook is the oldest."""

    number: int
    oldest_age: timedelta
    saga_id: str


class WebhookSender(Protocol):
    async def send(self, saga: Saga, attempt: int) -> bool:
        """Send the status of `saga`; return True if the receiver answered 2xx. Never raises."""


class CompletionWebhooks:
    """Delivers the webhooks of sagas at rest."""

    def __init__(self, sender: WebhookSender, clock: Clock) -> None:
        self.sender, self.clock = sender, clock
        self._pending_since: dict[str, datetime] = {}

    def is_delivering(self, saga_id: str) -> bool:
        """True while the webhook of the saga is being delivered."""
        return saga_id in self._pending_since

    def pending(self) -> PendingWebhooks | None:
        """Return the undelivered webhooks of this node, or None if there are none."""
        if not self._pending_since:
            return None
        saga_id, since = min(self._pending_since.items(), key=itemgetter(1))
        longest = max(self.clock.now() - since, timedelta())
        return PendingWebhooks(len(self._pending_since), longest, saga_id)

    async def deliver_until_acknowledged(self, host: SagaHost, saga_id: str) -> None:
        """Repeat the delivery until it succeeds, or the saga has left its rest."""
        self._pending_since[saga_id] = self.clock.now()
        try:
            for attempt, pause in enumerate(self._pauses(), 1):
                async with host.acquire(saga_id) as active:
                    saga = active.saga
                if host.is_stopping or not saga.has_pending_webhook:
                    return
                if attempt == 1:  # the saga may have come to rest before this process began
                    self._pending_since[saga_id] = saga.state.updated_at
                if await self.sender.send(saga, attempt):
                    delivered = WebhookDelivered(rest_version=saga.state.rest_version)
                    await host.deliver(saga_id, delivered)
                else:
                    await host.sleep(pause)
        finally:
            self._pending_since.pop(saga_id, None)

    def _pauses(self) -> Iterator[float]:
        """Yield the pause in seconds after each attempt, without end."""
        for attempt in count(1):
            yield RETRY_PAUSES.delay(attempt, self.clock.jitter()).total_seconds()
