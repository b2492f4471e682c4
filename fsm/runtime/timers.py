"""Timers of sagas: at most one each, derived from the state of the saga, so none is stored.

A heap with lazy deletion: an entry counts only while it is the current timer of its saga. When most
entries are stale (sagas that ended long before their deadline) the heap is rebuilt.
"""

from __future__ import annotations

import asyncio
import heapq
from collections import deque
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final, Protocol

from ..saga import Saga
from .clock import Clock

MAX_NAP: Final = timedelta(seconds=1)  # so that a wall clock that jumps is noticed
MIN_STALE_TO_COMPACT: Final = 1024


class Timers:
    """Calls `wake` with the sagas that fall due."""

    def __init__(self, clock: Clock, wake: Callable[[Sequence[str]], None]) -> None:
        self.clock, self.wake = clock, wake
        self._due: dict[str, datetime] = {}
        self._heap: list[tuple[datetime, str]] = []
        self._earlier = asyncio.Event()

    def set(self, saga_id: str, due: datetime | None) -> None:
        """Set the timer of `saga_id`, in place of an earlier one; None removes it."""
        if due is None:
            self._due.pop(saga_id, None)
        elif self._due.get(saga_id) != due:
            self._due[saga_id] = due
            heapq.heappush(self._heap, (due, saga_id))
            if self._heap[0][1] == saga_id:
                self._earlier.set()
        if len(self._heap) > 2 * len(self._due) + MIN_STALE_TO_COMPACT:
            self._compact()

    def discard(self, is_discarded: Callable[[str], bool]) -> None:
        """Remove the timers of all sagas for which `is_discarded` is true."""
        self._due = {
            saga_id: due for saga_id, due in self._due.items() if not is_discarded(saga_id)
        }
        self._compact()

    def step(self) -> int:
        """Wake all sagas that are due; return their number."""
        due = self._take_due(self.clock.now())
        if due:
            self.wake(due)
        return len(due)

    async def run(self) -> None:
        """Wake sagas as they fall due, until cancelled."""
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


# Replaying and waking 200 sagas takes some 30 ms, during which the event loop does nothing else.
SAGAS_PER_READ: Final = 200


class WakeHost(Protocol):
    """The sagas of this node, as the waker sees them."""

    def is_in_memory(self, saga_id: str) -> bool: ...

    def drives(self, saga_id: str) -> bool:
        """True if this node drives the saga."""

    def wake(self, saga_id: str, *, read: Saga | None = None) -> None:
        """Deliver TimerFired to the saga in a task of its own; `read` is the saga as just read."""

    async def load_many(
        self, saga_ids: Callable[[], Sequence[str]]
    ) -> Mapping[str, Saga | Exception]:
        """Load sagas once the log can be read; `saga_ids` is called before each attempt."""

    def spawn_for_many(self, work: Coroutine[Any, Any, None]) -> None:
        """Run `work` for sagas of any shard in a task."""


class SagaWaker:
    """Wakes sagas that fall due.

    After an outage or a restart thousands of back-offs and sleeps fall due at once. Read one by one
    they would occupy the reader connections for longer than anything else after a crash.
    """

    def __init__(self, host: WakeHost) -> None:
        self.host = host
        self._not_in_memory: deque[str] = deque()
        self._is_reading = False

    def wake(self, saga_ids: Iterable[str]) -> None:
        """Deliver TimerFired to each of these sagas."""
        for saga_id in saga_ids:
            if self.host.is_in_memory(saga_id):
                self.host.wake(saga_id)
            else:
                self._not_in_memory.append(saga_id)
        if self._not_in_memory and not self._is_reading:
            self._is_reading = True
            self.host.spawn_for_many(self._read_and_wake())

    async def _read_and_wake(self) -> None:
        try:
            while self._not_in_memory:
                page = [
                    self._not_in_memory.popleft()
                    for _ in range(min(SAGAS_PER_READ, len(self._not_in_memory)))
                ]
                for saga_id, saga in (await self._read(page)).items():
                    # A saga that cannot be replayed is read alone, which reports its error.
                    self.host.wake(saga_id, read=saga if isinstance(saga, Saga) else None)
                await asyncio.sleep(0)  # other tasks go before the next page
        finally:
            self._is_reading = False

    async def _read(self, page: Sequence[str]) -> Mapping[str, Saga | Exception]:
        """Return the sagas of the page that this node drives, once the log can be read."""
        drives = self.host.drives
        return await self.host.load_many(lambda: [saga_id for saga_id in page if drives(saga_id)])
