"""Taking shards up: claim them, find what is unfinished, and go on with it.

Claiming comes first. From then on no other process can append to these shards, so what is read is
the whole truth. Then the projection catches up, which tells the sagas that do not rest; each is
folded from its own stream and resumed, and from then on the shards are served. A saga whose history
is broken is named and left alone.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from ...eventstore import EventLog
from ..command import is_over
from ..saga import Saga
from .clock import Clock
from .driver import Driver
from .journal import Journal
from .log import logger

SAGAS_A_READ = 500


@dataclass(frozen=True, slots=True)
class Unfinished:
    """A saga that does not rest. One that is idle only waits, at the latest until `wake_at`."""

    saga_id: str
    is_idle: bool = False
    wake_at: datetime | None = None


class Recovery:
    """`unfinished` names the sagas of the given shards that do not rest, as of now."""

    def __init__(
        self,
        log: EventLog,
        journal: Journal,
        driver: Driver,
        clock: Clock,
        unfinished: Callable[[Sequence[int]], Awaitable[Sequence[Unfinished]]],
    ) -> None:
        self.log, self.journal, self.driver, self.clock = log, journal, driver, clock
        self.unfinished = unfinished

    async def run(self, shard_ids: Iterable[int]) -> int:
        """Returns how many sagas were taken up."""
        epochs = await self.log.claim(shard_ids, recorded_at=self.clock.now())
        unfinished = await self.unfinished(sorted(epochs))
        loaded: dict[str, Saga | Exception] = {}
        for saga_ids in _pages([one.saga_id for one in unfinished if not one.is_idle]):
            loaded |= await self.journal.load_many(saga_ids)
        # Only now: what goes on would hold up the reading, and may move what was not read yet.
        self.driver.epochs |= epochs
        idle = [one for one in unfinished if one.is_idle]
        for one in idle:
            self.driver.wait_for(one.saga_id, one.wake_at)
        resumed = sum([self._resume(saga_id, saga) for saga_id, saga in loaded.items()])
        facts = {"shards": len(epochs), "resumed": resumed, "waiting": len(idle)}
        logger.info("recovered", extra=facts)
        return resumed + len(idle)

    def _resume(self, saga_id: str, saga: Saga | Exception) -> bool:
        if isinstance(saga, Exception):
            facts = {"saga_id": saga_id, "why": str(saga)}
            logger.error("saga quarantined", extra=facts)
            return False
        if is_over(saga):
            return False
        self.driver.resume(saga)
        return True


def _pages(saga_ids: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(saga_ids), SAGAS_A_READ):
        yield saga_ids[start : start + SAGAS_A_READ]
