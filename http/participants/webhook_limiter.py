"""Concurrency limits of webhooks, so that a receiver that hangs does not delay the others.

Webhooks are limited by URL, by origin, behind which many receivers may be, and in total, because
every connection takes a file descriptor. First tries and retries have separate slots: a retry waits
behind other retries, and never before a webhook that has not been tried. A first try may take its
whole timeout while slots are free. Once another webhook waits for its slot, it must have a response
within `CONTENDED_TIMEOUT`, or is tried again later. So a receiver that responds gets its webhook
soon, however many others hang, and a slow one does not get every webhook twice.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from typing import Final, TypeAlias

from ...fsm.runtime.concurrency import FairSemaphore
from .base_url import Origin

MAX_PER_URL: Final = 16
MAX_FIRST_TRIES_PER_ORIGIN: Final = 100
MAX_RETRIES_PER_ORIGIN: Final = 50
MAX_FIRST_TRIES: Final = 300
MAX_RETRIES: Final = 100
MAX_PER_ORIGIN: Final = MAX_FIRST_TRIES_PER_ORIGIN + MAX_RETRIES_PER_ORIGIN
TIMEOUT: Final = timedelta(seconds=10)
CONTENDED_TIMEOUT: Final = timedelta(seconds=2)


class WebhookSlots:
    """A number of slots. While another webhook waits for one, a holder has `patience` from its
    start."""

    def __init__(self, number: int, patience: timedelta) -> None:
        self.semaphore = FairSemaphore(number)
        self.contended_seconds = patience.total_seconds()
        self.holders: dict[asyncio.Timeout, float] = {}  # when each began

    @property
    def is_idle(self) -> bool:
        return not self.semaphore.acquired and not self.semaphore.waiting

    async def acquire(self) -> None:
        if not self.semaphore.try_acquire():
            self._shorten_timeouts()
            await self.semaphore.acquire()

    def _shorten_timeouts(self) -> None:
        now = asyncio.get_running_loop().time()
        for limit, began in self.holders.items():
            end = limit.when()
            if end is not None and not limit.expired():
                limit.reschedule(min(end, max(now, began + self.contended_seconds)))


# Origin and URL, origin alone, or neither for the total; and whether it is for first tries.
Key: TypeAlias = tuple[Origin | None, str | None, bool]


class WebhookLimiter:
    def __init__(self, hurried: timedelta = CONTENDED_TIMEOUT) -> None:
        self._contended_timeout = hurried
        self.slots_by_key: dict[Key, WebhookSlots] = {}

    @asynccontextmanager
    async def slot(self, origin: Origin, target: str, *, first_try: bool) -> AsyncIterator[None]:
        """Hold a slot of URL, origin and total. Raises TimeoutError in the block."""
        keys: tuple[Key, ...] = (
            (origin, target, first_try),
            (origin, None, first_try),
            (None, None, first_try),
        )
        async with AsyncExitStack() as stack:
            acquired = list[WebhookSlots]()
            for key in keys:
                slots = self._slots(key)
                stack.callback(self._discard_idle, key)
                await slots.acquire()
                stack.callback(slots.semaphore.release)
                acquired.append(slots)
            others_wait = any(slots.semaphore.waiting for slots in acquired)
            seconds = acquired[0].contended_seconds if others_wait else TIMEOUT.total_seconds()
            began = asyncio.get_running_loop().time()
            async with asyncio.timeout(seconds) as limit:
                for slots in acquired:
                    slots.holders[limit] = began
                    stack.callback(slots.holders.pop, limit)
                yield

    def _slots(self, key: Key) -> WebhookSlots:
        slots = self.slots_by_key.get(key)
        if slots is None:
            patience = self._contended_timeout if key[-1] else TIMEOUT
            slots = self.slots_by_key[key] = WebhookSlots(_limit_for(key), patience)
        return slots

    def _discard_idle(self, key: Key) -> None:
        """Drop slots without holders: URLs come from clients, so they must not pile up."""
        slots = self.slots_by_key.get(key)
        if slots is not None and slots.is_idle:
            del self.slots_by_key[key]


def _limit_for(key: Key) -> int:
    origin, target, first_try = key
    if target is not None:
        return MAX_PER_URL
    if origin is not None:
        return MAX_FIRST_TRIES_PER_ORIGIN if first_try else MAX_RETRIES_PER_ORIGIN
    return MAX_FIRST_TRIES if first_try else MAX_RETRIES
