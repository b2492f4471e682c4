"""Wake-ups: each saga has at most one, and it is what its state says, so nothing here is stored.

A heap with lazy deletion: an entry counts only while it is the saga's current one. When most of
the heap is stale (sagas that ended long before their deadline) it is built anew.
"""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from .clock import Clock

LONGEST_NAP = timedelta(seconds=1)  # so that a wall clock that jumps is noticed
FEWEST_TO_COMPACT = 1024


class Timers:
    def __init__(self, clock: Clock, wake: Callable[[Sequence[str]], None]) -> None:
        self.clock, self.wake = clock, wake
        self._due: dict[str, datetime] = {}
        self._heap: list[tuple[datetime, str]] = []
        self._earlier = asyncio.Event()

    def set(self, saga_id: str, due: datetime | None) -> None:
        """Wake `saga_id` then, and not at the time that was set before; None is never."""
        if due is None:
            self._due.pop(saga_id, None)
        elif self._due.get(saga_id) != due:
            self._due[saga_id] = due
            heapq.heappush(self._heap, (due, saga_id))
            if self._heap[0][1] == saga_id:
                self._earlier.set()
        if len(self._heap) > 2 * len(self._due) + FEWEST_TO_COMPACT:
            self._compact()

    def forget(self, whom: Callable[[str], bool]) -> None:
        """Wake none of those any more."""
        self._due = {one: due for one, due in self._due.items() if not whom(one)}
        self._compact()

    def step(self) -> int:
        """Wake every saga that is due now; returns how many."""
        due = self._take_due(self.clock.now())
        if due:
            self.wake(due)
        return len(due)

    async def run(self) -> None:
        while True:
            self._earlier.clear()
            if self.step() == 0:
                await self._nap()

    async def _nap(self) -> None:
        left = LONGEST_NAP
        if self._heap:
            left = min(max(self._heap[0][0] - self.clock.now(), timedelta()), LONGEST_NAP)
        try:
            async with asyncio.timeout(left.total_seconds()):
                await self._earlier.wait()
        except TimeoutError:
            return

    def _take_due(self, now: datetime) -> list[str]:
        taken = []
        while self._heap and self._heap[0][0] <= now:
            due, saga_id = heapq.heappop(self._heap)
            if self._due.get(saga_id) == due:
                del self._due[saga_id]
                taken.append(saga_id)
        return taken

    def _compact(self) -> None:
        self._heap = [(due, saga_id) for saga_id, due in self._due.items()]
        heapq.heapify(self._heap)
