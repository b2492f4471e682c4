"""After a start: claim the shards, find what is unfinished, and go on with it.

Claiming comes first. From then on no other process can append to these shards, so what is read is
the whole truth. Then the projection catches up, which tells the sagas that do not rest; each is
folded from its own stream and resumed. A saga whose history is broken is named and left alone.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence

from ...eventstore import EventLog
from ..saga import Saga
from .clock import Clock
from .driver import Driver
from .journal import Journal
from .log import logger

SAGAS_A_READ = 500


class Recovery:
    """`unfinished` names the sagas that do not rest, of all owned shards, as of now."""

    def __init__(
        self,
        log: EventLog,
        journal: Journal,
        driver: Driver,
        clock: Clock,
        unfinished: Callable[[], Awaitable[Sequence[str]]],
    ) -> None:
        self.log, self.journal, self.driver, self.clock = log, journal, driver, clock
        self.unfinished = unfinished

    async def run(self, shard_ids: Iterable[int]) -> int:
        """Returns how many sagas were resumed."""
        epochs = await self.log.claim(shard_ids, recorded_at=self.clock.now())
        resumed = 0
        waiting = await self.unfinished()
        self.driver.epochs = epochs
        for saga_ids in _pages(waiting):
            for saga_id, saga in (await self.journal.load_many(saga_ids)).items():
                resumed += self._resume(saga_id, saga)
        logger.info("recovered", extra={"shards": len(epochs), "sagas": resumed})
        return resumed

    def _resume(self, saga_id: str, saga: Saga | Exception) -> bool:
        if isinstance(saga, Exception):
            facts = {"saga_id": saga_id, "why": str(saga)}
            logger.error("saga quarantined", extra=facts)
            return False
        unfinished = saga.owes_callback or not saga.state.status.rests
        if unfinished:
            self.driver.resume(saga)
        return unfinished


def _pages(saga_ids: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(saga_ids), SAGAS_A_READ):
        yield saga_ids[start : start + SAGAS_A_READ]
