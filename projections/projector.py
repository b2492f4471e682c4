"""Keeps the status view behind the log: effect and checkpoint in one transaction.

While it runs, the owner tells it of every commit with the saga that it made, so that nothing is
read twice; what it was not told of (before a start, after a gap, after it was overtaken) it folds
from the log. The checkpoint moves by compare-and-set, so two projectors never mix their work: the
one that comes late aborts, reads where the other one is, and goes on from there.

    told ──> dirty sagas, frontiers ──(100 ms or 500 sagas)──> rows + checkpoints
    log  ──> pages of a shard ──> the sagas in them, folded whole ──> rows + checkpoint

Most sagas rest within 100 ms. So a row that would soon be written again is left for the next time,
once, and the checkpoint of its shard waits before it: a saga that rests is shown within 100 ms, one
that is under way within 200.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

import psycopg

from ..eventstore import SHARD_OWNED, SHARDS, EventLog, LogUnavailable, RecordedEvent
from ..fsm.saga import Saga
from .frontier import Frontier
from .tables import Overtaken, Rebuild, Tables

logger = logging.getLogger("saga_orchestrator")

LAG = timedelta(milliseconds=100)
MOST_DIRTY = 500  # sagas, until they are written without waiting any longer
MOST_BEYOND_A_GAP = 1000  # appends of a shard, until the log is read instead
PAGE = 1000  # events
PAUSE_AFTER_TROUBLE = timedelta(seconds=1)
TROUBLE = (psycopg.Error, OSError, LogUnavailable)

Load = Callable[[Iterable[str]], Awaitable[Mapping[str, Saga | Exception]]]


@dataclass(slots=True)
class Change:
    """A saga as it is now, and where the first event lies that its row does not show."""

    saga: Saga
    shard_id: int
    seq: int
    was_left: bool = False

    @property
    def is_due(self) -> bool:
        return self.was_left or self.saga.state.status.rests


class Projector:
    """`load` folds sagas from their streams."""

    def __init__(self, tables: Tables, log: EventLog, load: Load) -> None:
        self.tables, self.log, self.load = tables, log, load
        self._checkpoints: dict[int, int] = {}
        self._frontiers: dict[int, Frontier] = {}
        self._dirty: dict[str, Change] = {}
        self._turn = asyncio.Lock()
        self._told = asyncio.Event()
        self._enough = asyncio.Event()

    def observe(self, saga: Saga, recorded: Sequence[RecordedEvent]) -> None:
        """`recorded` is durable, and has made `saga`."""
        first, last = recorded[0], recorded[-1]
        change = self._dirty.get(saga.state.saga_id)
        if change is None:
            self._dirty[saga.state.saga_id] = Change(saga, first.shard_id, first.seq)
            self._told.set()
        else:
            change.saga = saga
        if (frontier := self._frontiers.get(first.shard_id)) is not None:
            frontier.add(first.seq, last.seq)
        if len(self._dirty) >= MOST_DIRTY:
            self._enough.set()

    async def step(self) -> int:
        """Write all that was observed; returns how many sagas.

        One at a time: a later write must not move the checkpoint past one that has failed.
        """
        async with self._turn:
            changes, self._dirty = self._dirty, {}
            return await self._write(changes)

    async def step_by_age(self) -> int:
        """As `step`, but leave sagas under way that have not been left before."""
        async with self._turn:
            due = {name: one for name, one in self._dirty.items() if one.is_due}
            self._dirty = {name: one for name, one in self._dirty.items() if not one.is_due}
            self._leave(self._dirty)
            return await self._write(due)

    def _leave(self, changes: Mapping[str, Change]) -> None:
        """For the next time, and no longer."""
        for saga_id, change in changes.items():
            self._dirty.setdefault(saga_id, change).was_left = True

    async def _write(self, changes: Mapping[str, Change]) -> int:
        reached = self._reached()
        try:
            sagas = [one.saga for one in changes.values()]
            await self.tables.write(sagas, self._checkpoints, reached)
        except Overtaken:
            # Kept until the log has been read: that may fail, and the frontiers count them as seen.
            self._leave(changes)
            await self._catch_up(sorted(self._frontiers))
            return len(changes)
        except BaseException:  # a stop cancels it too, and what it held must still be written
            self._leave(changes)
            raise
        self._checkpoints.update(reached)
        if any(one.waiting > MOST_BEYOND_A_GAP for one in self._frontiers.values()):
            await self._catch_up(sorted(self._frontiers))
        return len(changes)

    def _reached(self) -> dict[int, int]:
        """How far the rows will then show each shard: up to what is left."""
        reached = {shard_id: one.seq for shard_id, one in self._frontiers.items()}
        for change in self._dirty.values():
            if change.shard_id in reached:
                seq = max(change.seq - 1, self._checkpoints[change.shard_id])
                reached[change.shard_id] = min(reached[change.shard_id], seq)
        return reached

    async def run(self) -> None:
        while True:
            await self._told.wait()
            await self._linger()
            self._told.clear()
            self._enough.clear()
            try:
                await self.step_by_age()
                if self._dirty:
                    self._told.set()
            except TROUBLE as error:
                logger.warning("projection is behind", extra={"why": str(error)})
                self._told.set()
                await asyncio.sleep(PAUSE_AFTER_TROUBLE.total_seconds())

    async def follow(self, shard_ids: Iterable[int]) -> None:
        """From now on these shards are observed here; fold from the log what was not."""
        await self._catch_up(sorted(shard_ids))

    async def part_with(self, shard_ids: Iterable[int]) -> None:
        """Write what was observed of these shards; from now on somebody else does.

        What cannot be written is folded from the log by them.
        """
        try:
            await self.step()
        except TROUBLE as error:
            logger.warning("projection is behind", extra={"why": str(error)})
        for shard_id in shard_ids:
            self._frontiers.pop(shard_id, None)
            self._checkpoints.pop(shard_id, None)

    async def _catch_up(self, shard_ids: Sequence[int]) -> None:
        while not await self._caught_up(shard_ids):
            logger.info("projection was overtaken while it caught up")

    async def _caught_up(self, shard_ids: Sequence[int]) -> bool:
        """Whether nobody else did the same meanwhile; who did has got further."""
        checkpoints = await self.tables.checkpoints()
        try:
            for shard_id in shard_ids:
                await self._fold(shard_id, checkpoints[shard_id])
        except Overtaken:
            return False
        return True

    async def rebuild(self) -> int:
        """Fold everything anew; returns the number of events."""
        await self.tables.checkpoints()
        events = 0
        async with self.tables.rebuilding() as rebuild:
            for shard_id in range(SHARDS):
                events += await self._refold(rebuild, shard_id)
        return events

    async def _refold(self, rebuild: Rebuild, shard_id: int) -> int:
        seq = 0
        while page := await self.log.read_shard(shard_id, after_seq=seq, limit=PAGE):
            await rebuild.write(await self._sagas_in(page))
            seq = page[-1].seq
        await rebuild.reach(shard_id, seq)
        return seq

    async def _fold(self, shard_id: int, seq: int) -> None:
        while page := await self.log.read_shard(shard_id, after_seq=seq, limit=PAGE):
            sagas = await self._sagas_in(page)
            await self.tables.write(sagas, {shard_id: seq}, {shard_id: page[-1].seq})
            seq = page[-1].seq
        self._checkpoints[shard_id] = seq
        self._frontiers.setdefault(shard_id, Frontier(seq)).reach(seq)

    async def _sagas_in(self, page: Sequence[RecordedEvent]) -> list[Saga]:
        named = dict.fromkeys(one.stream_id for one in page if one.type != SHARD_OWNED)
        loaded = await self.load(named)
        return [one for one in loaded.values() if isinstance(one, Saga)]

    async def _linger(self) -> None:
        try:
            async with asyncio.timeout(LAG.total_seconds()):
                await self._enough.wait()
        except TimeoutError:
            return
