"""Taking shards up: claim them, find what is unfinished, serve them, and go on with it.

Claiming comes first. From then on no other process can append to these shards, so what is read is
the whole truth. Then the projection catches up, which names the sagas that do not rest, and the
shards are served. Those sagas are read page by page, folded from their own streams and resumed; one
that a request needs before its page is read is taken up by that request. A saga whose history is
broken is named and left alone.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from ....eventstore.event_log import EventLog
from ..clock import Clock
from ..driver import Driver
from ..logging import logger
from ..saga_repository import SagaRepository
from ..timers import SAGAS_PER_READ


@dataclass(frozen=True, slots=True)
class UnfinishedSaga:
    """A saga that does not rest. One that is idle only waits, at the latest until `wake_at`."""

    saga_id: str
    is_idle: bool = False
    wake_at: datetime | None = None

    def is_asleep_at(self, now: datetime) -> bool:
        """True if nothing is to be done about it at the time `now`."""
        return self.is_idle and (self.wake_at is None or self.wake_at > now)


class Recovery:
    """`unfinished` names the sagas of the given shards that do not rest, as of now."""

    def __init__(
        self,
        log: EventLog,
        journal: SagaRepository,
        driver: Driver,
        clock: Clock,
        unfinished: Callable[[Sequence[int]], Awaitable[Sequence[UnfinishedSaga]]],
    ) -> None:
        self.log, self.repository, self.driver, self.clock = log, journal, driver, clock
        self.unfinished = unfinished

    async def run(self, shard_ids: Iterable[int]) -> int:
        """Return how many sagas were taken up."""
        epochs = await self.log.claim(shard_ids, recorded_at=self.clock.now())
        unfinished = await self.unfinished(sorted(epochs))
        now = self.clock.now()
        idle = [one for one in unfinished if one.is_asleep_at(now)]
        for one in idle:
            self.driver.schedule(one.saga_id, one.wake_at)
        to_resume = [one.saga_id for one in unfinished if not one.is_asleep_at(now)]
        self.driver.acquire_shards(epochs, to_resume)
        resumed = 0
        for page in _pages(to_resume):
            resumed += await self._recover_page(page)
        facts = {"shards": len(epochs), "resumed": resumed, "waiting": len(idle)}
        logger.info("recovered", extra=facts)
        return resumed + len(idle)

    async def _recover_page(self, saga_ids: Iterable[str]) -> int:
        # The shards are served already, so what cannot be read now is read later.
        loaded = await self.driver.load_many(partial(self.driver.still_to_recover, saga_ids))
        resumed = 0
        for saga_id, saga in loaded.items():
            if isinstance(saga, Exception):
                facts = {"saga_id": saga_id, "why": str(saga)}
                logger.error("saga quarantined", extra=facts)
                self.driver.skip_recovery(saga_id)
            else:
                resumed += await self.driver.recover(saga)
        await asyncio.sleep(0)  # what has come meanwhile, before the next page
        return resumed


def _pages(saga_ids: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(saga_ids), SAGAS_PER_READ):
        yield saga_ids[start : start + SAGAS_PER_READ]
