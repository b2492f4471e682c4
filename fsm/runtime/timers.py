"""Wake-ups: each saga has at most one, and it is what its state says, so nothing here is stored.

A heap with lazy deletion: an entry counts only while it is the saga's current one. When most of
the heap is stale (sagas that ended long before their deadline) it is built anew.
"""

from __future__ import annotations

import asyncio
import heapq
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from ..saga import Saga
from .calls.circuit_breaker import NO_SHARD
from .clock import Clock

if TYPE_CHECKING:
    from .driver import Driver


MAX_NAP = timedelta(seconds=1)  # so that a wall clock that jumps is noticed
MIN_STALE_TO_COMPACT = 1024


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
        if len(self._heap) > 2 * len(self._due) + MIN_STALE_TO_COMPACT:
            self._compact()

    def discard(self, whom: Callable[[str], bool]) -> None:
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
        left = MAX_NAP
        if self._heap:
            left = min(max(self._heap[0][0] - self.clock.now(), timedelta()), MAX_NAP)
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


# Folding and waking so many takes some 30 ms, for which nothing else has its turn.
SAGAS_PER_READ: Final = 200


class SagaWaker:
    def __init__(self, driver: Driver) -> None:
        self.driver = driver
        self._not_in_memory: deque[str] = deque()
        self._is_reading = False

    def wake(self, saga_ids: Iterable[str]) -> None:
        """Let each of these sagas see that time has passed."""
        for saga_id in saga_ids:
            if saga_id in self.driver.active:
                self.driver.wake(saga_id)
            else:
                self._not_in_memory.append(saga_id)
        if self._not_in_memory and not self._is_reading:
            self._is_reading = True
            self.driver.tasks.spawn(NO_SHARD, self._read_and_wake(), calls=False)

    async def _read_and_wake(self) -> None:
        try:
            while self._not_in_memory:
                page = [
                    self._not_in_memory.popleft()
                    for _ in range(min(SAGAS_PER_READ, len(self._not_in_memory)))
                ]
                for saga_id, saga in (await self._read(page)).items():
                    # One that cannot be folded is read alone, which reports what is wrong with it.
                    self.driver.wake(saga_id, read=saga if isinstance(saga, Saga) else None)
                await asyncio.sleep(0)  # what has come meanwhile goes before the next page
        finally:
            self._is_reading = False

    async def _read(self, page: Sequence[str]) -> Mapping[str, Saga | Exception]:
        """Read the sagas of the page that are driven here, once the log can be read."""
        drives = self.driver.drives
        return await self.driver.load_many(lambda: [one for one in page if drives(one)])
