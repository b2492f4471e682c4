"""Wakes sagas that fall due, those that are not in memory page by page.

After an outage, or a restart, thousands of back-offs and sleeps fall due at once. Read from the log
one by one they would take the readers' time for longer than anything else after a crash.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Final

from ..saga import Saga
from .held_back import NO_SHARD

if TYPE_CHECKING:
    from .driver import Driver

# Folding and waking so many takes some 30 ms, for which nothing else has its turn.
SAGAS_A_READ: Final = 200


class WakeUps:
    def __init__(self, driver: Driver) -> None:
        self.driver = driver
        self._absent: deque[str] = deque()
        self._is_reading = False

    def wake(self, saga_ids: Iterable[str]) -> None:
        """Let each of these sagas see that time has passed."""
        for saga_id in saga_ids:
            if saga_id in self.driver.live:
                self.driver.wake(saga_id)
            else:
                self._absent.append(saga_id)
        if self._absent and not self._is_reading:
            self._is_reading = True
            self.driver.tasks.work(NO_SHARD, self._read_and_wake(), calls=False)

    async def _read_and_wake(self) -> None:
        try:
            while self._absent:
                page = [self._absent.popleft() for _ in range(min(SAGAS_A_READ, len(self._absent)))]
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
