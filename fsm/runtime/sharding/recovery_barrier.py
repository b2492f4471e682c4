"""Fair recovery: every resumed saga repeats its pending call before any saga proceeds.

Sagas that a crash has interrupted have all waited equally long. If each proceeded as soon as it
could, the first would be done before the last had begun. The expected sagas are named before they
are read from the log; a saga arrives at the barrier once a call of it leaves, or if it has none.

Waiting is worth while as long as this process is the bottleneck. If fewer sagas than
MIN_ARRIVALS_PER_CHECK arrive within CHECK_INTERVAL, they wait for participants, which must not hold
up other sagas: then the barrier opens. A saga that was started later, or that was in memory before,
never waits here.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable
from datetime import timedelta
from typing import Final

CHECK_INTERVAL: Final = timedelta(seconds=1)
MIN_ARRIVALS_PER_CHECK: Final = 100
# More at once would block the event loop for other tasks.
MAX_RELEASED_AT_ONCE: Final = 100


class RecoveryBarrier:
    """Holds back resumed sagas after their first call until all expected sagas have arrived."""

    def __init__(self) -> None:
        self._expected: set[str] = set()
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._arrivals = 0  # since the last check
        self._next_check: asyncio.TimerHandle | None = None

    def expect(self, saga_ids: Iterable[str]) -> None:
        """Keep the barrier closed until these sagas have arrived."""
        self._expected.update(saga_ids)
        if self._expected and self._next_check is None:
            self._schedule_check()

    @property
    def is_open(self) -> bool:
        return not self._expected

    async def wait(self) -> None:
        """Wait until the barrier is open."""
        if self._expected:
            opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting.append(opened)
            await opened

    def arrive(self, saga_id: str) -> None:
        """Record the arrival of a saga. Safe to repeat."""
        if saga_id in self._expected:
            self._expected.discard(saga_id)
            self._arrivals += 1
            self._release_if_open()

    def discard(self, is_dropped: Callable[[str], bool]) -> None:
        """Stop expecting sagas that this node no longer drives."""
        self._expected = {saga_id for saga_id in self._expected if not is_dropped(saga_id)}
        self._release_if_open()

    def check_progress(self) -> None:
        """Open the barrier if too few sagas have arrived since the last check."""
        self._next_check = None
        if self._arrivals < MIN_ARRIVALS_PER_CHECK:
            self._expected.clear()
            self._release_if_open()
        elif self._expected:
            self._schedule_check()

    def _schedule_check(self) -> None:
        self._arrivals = 0
        loop = asyncio.get_running_loop()
        self._next_check = loop.call_later(CHECK_INTERVAL.total_seconds(), self.check_progress)

    def _release_if_open(self) -> None:
        if self._expected:
            return
        if self._next_check is not None:
            self._next_check.cancel()
            self._next_check = None
        if self._waiting:
            self._release()

    def _release(self) -> None:
        for _ in range(min(MAX_RELEASED_AT_ONCE, len(self._waiting))):
            opened = self._waiting.popleft()
            if not opened.done():
                opened.set_result(None)
        if self._waiting:
            asyncio.get_running_loop().call_soon(self._release)
