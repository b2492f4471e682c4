"""After a crash every saga makes its first move before any makes its second.

Sagas that were under way have all waited equally long. Were each of them to go on as soon as it
can, the first would be done before the last had begun. The sagas that are expected are named before
they are read from the log; a saga has moved once a call of it leaves, or has none to send.

That is worth waiting for as long as this process is what the first moves wait for. If fewer than
FEWEST_MOVES were made within LOOK_EVERY, they wait for participants, which must not hold up the
sagas of others: then every saga goes on. A saga that is begun later, or that was here all the time,
never waits for any of this.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable
from datetime import timedelta
from typing import Final

CHECK_INTERVAL: Final = timedelta(seconds=1)
MIN_ARRIVALS_PER_CHECK: Final = 100
# Of those that have waited; more at once would keep everything else from its turn in the loop.
MAX_RELEASED_AT_ONCE: Final = 100


class RecoveryBarrier:
    def __init__(self) -> None:
        self._expected: set[str] = set()
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._arrivals = 0  # since the last look
        self._next_check: asyncio.TimerHandle | None = None

    def expect(self, saga_ids: Iterable[str]) -> None:
        """Begin to wait for the first moves of these sagas."""
        self._expected.update(saga_ids)
        if self._expected and self._next_check is None:
            self._schedule_check()

    @property
    def is_open(self) -> bool:
        return not self._expected

    async def wait(self) -> None:
        """Return once no first move is waited for any more."""
        if self._expected:
            over: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting.append(over)
            await over

    def arrive(self, saga_id: str) -> None:
        """Note the first move of a saga. Safe to repeat."""
        if saga_id in self._expected:
            self._expected.discard(saga_id)
            self._arrivals += 1
            self._release_if_open()

    def discard(self, is_dropped: Callable[[str], bool]) -> None:
        """Wait no longer for the sagas that another node drives now."""
        self._expected = {one for one in self._expected if not is_dropped(one)}
        self._release_if_open()

    def check_progress(self) -> None:
        """Stop waiting if too few moves were made since the last look."""
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
            over = self._waiting.popleft()
            if not over.done():
                over.set_result(None)
        if self._waiting:
            asyncio.get_running_loop().call_soon(self._release)
