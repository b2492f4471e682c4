"""Recovery of shards: claim them, find the unfinished sagas, serve the shards, resume the sagas.

The claim comes first. From then on no other process can append to these shards, so what is read
after it is final. Then the projection catches up, which names the sagas that are not at rest, and
the shards are in service. These sagas are read page by page, replayed from their streams and
resumed; a saga that a request needs before its page is read is resumed by that request. A saga
whose history is broken is logged and left alone.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from datetime import datetime
from functools import partial
from typing import Protocol

from ....eventstore import EventLog
from ..clock import Clock
from ..driver import Driver
from ..logging import logger
from ..timers import SAGAS_PER_READ


class UnfinishedSaga(Protocol):
    """A saga that is not at rest. If it is idle it only waits, at the latest until `wake_at`."""

    @property
    def saga_id(self) -> str: ...

    @property
    def is_idle(self) -> bool: ...

    @property
    def wake_at(self) -> datetime | None: ...


class Recovery:
    """Recovers shards. `unfinished` returns the sagas of given shards that are not at rest."""

    def __init__(
        self,
        log: EventLog,
        driver: Driver,
        clock: Clock,
        unfinished: Callable[[Sequence[int]], Awaitable[Sequence[UnfinishedSaga]]],
    ) -> None:
        self.log, self.driver, self.clock, self.unfinished = log, driver, clock, unfinished

    async def run(self, shard_ids: Iterable[int]) -> int:
        """Claim and recover the shards; return the number of sagas that were resumed or wait."""
        epochs = await self.log.claim(shard_ids, recorded_at=self.clock.now())
        unfinished = await self.unfinished(sorted(epochs))
        now = self.clock.now()
        asleep = [saga for saga in unfinished if _is_asleep(saga, now)]
        for saga in asleep:
            self.driver.schedule(saga.saga_id, saga.wake_at)
        to_resume = [saga.saga_id for saga in unfinished if not _is_asleep(saga, now)]
        self.driver.acquire_shards(epochs, to_resume)
        resumed = 0
        for page in _pages(to_resume):
            resumed += await self._recover_page(page)
        facts = {"shards": len(epochs), "resumed": resumed, "waiting": len(asleep)}
        logger.info("shards recovered", extra=facts)
        return resumed + len(asleep)

    async def _recover_page(self, saga_ids: Iterable[str]) -> int:
        # The shards are in service already, so this may take until the log can be read.
        loaded = await self.driver.load_many(partial(self.driver.still_to_recover, saga_ids))
        resumed = 0
        for saga_id, saga in loaded.items():
            if isinstance(saga, Exception):
                facts = {"saga_id": saga_id, "error": str(saga)}
                logger.error("saga quarantined", extra=facts)
                self.driver.skip_recovery(saga_id)
            else:
                resumed += await self.driver.recover(saga)
        await asyncio.sleep(0)  # other tasks go before the next page
        return resumed


def _is_asleep(saga: UnfinishedSaga, now: datetime) -> bool:
    """True if the saga has nothing to do at the time `now`."""
    return saga.is_idle and (saga.wake_at is None or saga.wake_at > now)


def _pages(saga_ids: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(saga_ids), SAGAS_PER_READ):
        yield saga_ids[start : start + SAGAS_PER_READ]
