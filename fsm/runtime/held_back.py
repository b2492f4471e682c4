"""Wakes the sagas whose calls were held back from a participant that answers again.

In steps, so that a participant that has just come back is not run over.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from ..happening import ParticipantBack

if TYPE_CHECKING:
    from .driver import Driver

AT_ONCE: Final = 50
PAUSE_SECONDS: Final = 0.1
NO_SHARD: Final = -1  # its sagas are of many


class HeldBack:
    def __init__(self, driver: Driver) -> None:
        self.driver = driver

    def participant_back(self, participant: str, saga_ids: set[str]) -> None:
        work = self._wake(participant, sorted(saga_ids))
        self.driver.tasks.work(NO_SHARD, work, calls=False)

    async def _wake(self, participant: str, saga_ids: list[str]) -> None:
        for number, saga_id in enumerate(saga_ids):
            if number % AT_ONCE == AT_ONCE - 1:
                await asyncio.sleep(PAUSE_SECONDS)
            self.driver.wake(saga_id, ParticipantBack(participant))
