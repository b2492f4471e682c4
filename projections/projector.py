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

from ..eventstore.errors import LogUnavailable
from ..eventstore.event import SHARD_COUNT, SHARD_OWNED, RecordedEvent
from ..eventstore.event_log import EventLog
from ..fsm.saga import Saga
from .errors import CheckpointConflict
from .status_table import Rebuild, StatusTable

logger = logging.getLogger("saga_orchestrator")

FLUSH_INTERVAL = timedelta(milliseconds=100)
MAX_DIRTY_SAGAS = 500  # sagas, until they are written without waiting any longer
MAX_APPENDS_BEHIND_GAP = 1000  # appends of a shard, until the log is read instead
EVENTS_PER_READ = 1000  # events
RETRY_DELAY = timedelta(seconds=1)
DATABASE_ERRORS = (psycopg.Error, OSError, LogUnavailable)

LoadSagas = Callable[[Iterable[str]], Awaitable[Mapping[str, Saga | Exception]]]


@dataclass(slots=True)
class DirtySaga:
    """A saga as it is now, and where the first event lies that its row does not show."""

    saga: Saga
    shard_id: int
    seq: int
    was_deferred: bool = False

    @property
    def is_due(self) -> bool:
        return self.was_deferred or self.saga.state.status.is_at_rest


class Projector:
    """`load` folds sagas from their streams."""

    def __init__(self, tables: StatusTable, log: EventLog, load: LoadSagas) -> None:
        self.table, self.log, self.load = tables, log, load
        self._checkpoints: dict[int, int] = {}
        self._watermarks: dict[int, ContiguousWatermark] = {}
        self._dirty: dict[str, DirtySaga] = {}
        self._lock = asyncio.Lock()
        self._has_dirty = asyncio.Event()
        self._batch_is_full = asyncio.Event()

    def observe(self, saga: Saga, recorded: Sequence[RecordedEvent]) -> None:
        """`recorded` is durable, and has made `saga`."""
        first, last = recorded[0], recorded[-1]
        change = self._dirty.get(saga.state.saga_id)
        if change is None:
            self._dirty[saga.state.saga_id] = DirtySaga(saga, first.shard_id, first.seq)
            self._has_dirty.set()
        else:
            change.saga = saga
        if (frontier := self._watermarks.get(first.shard_id)) is not None:
            frontier.add(first.seq, last.seq)
        if len(self._dirty) >= MAX_DIRTY_SAGAS:
            self._batch_is_full.set()

    async def flush(self) -> int:
        """Write all that was observed; returns how many sagas.

        One at a time: a later write must not move the checkpoint past one that has failed.
        """
        async with self._lock:
            changes, self._dirty = self._dirty, {}
            return await self._write(changes)

    async def flush_due(self) -> int:
        """As `step`, but leave sagas under way that have not been left before."""
        async with self._lock:
            due = {name: one for name, one in self._dirty.items() if one.is_due}
            self._dirty = {name: one for name, one in self._dirty.items() if not one.is_due}
            self._defer(self._dirty)
            return await self._write(due)

    def _defer(self, changes: Mapping[str, DirtySaga]) -> None:
        """For the next time, and no longer."""
        for saga_id, change in changes.items():
            self._dirty.setdefault(saga_id, change).was_deferred = True

    async def _write(self, changes: Mapping[str, DirtySaga]) -> int:
        reached = self._next_checkpoints()
        try:
            sagas = [one.saga for one in changes.values()]
            await self.table.write(sagas, self._checkpoints, reached)
        except CheckpointConflict:
            # Kept until the log has been read: that may fail, and the frontiers count them as seen.
            self._defer(changes)
            await self._catch_up(sorted(self._watermarks))
            return len(changes)
        except BaseException:  # a stop cancels it too, and what it held must still be written
            self._defer(changes)
            raise
        self._checkpoints.update(reached)
        if any(
            one.appends_behind_gap > MAX_APPENDS_BEHIND_GAP for one in self._watermarks.values()
        ):
            await self._catch_up(sorted(self._watermarks))
        return len(changes)

    def _next_checkpoints(self) -> dict[int, int]:
        """How far the rows will then show each shard: up to what is left."""
        reached = {shard_id: one.seq for shard_id, one in self._watermarks.items()}
        for change in self._dirty.values():
            if change.shard_id in reached:
                seq = max(change.seq - 1, self._checkpoints[change.shard_id])
                reached[change.shard_id] = min(reached[change.shard_id], seq)
        return reached

    async def run(self) -> None:
        while True:
            await self._has_dirty.wait()
            await self._wait_for_batch()
            self._has_dirty.clear()
            self._batch_is_full.clear()
            try:
                await self.flush_due()
                if self._dirty:
                    self._has_dirty.set()
            except DATABASE_ERRORS as error:
                logger.warning("projection is behind", extra={"why": str(error)})
                self._has_dirty.set()
                await asyncio.sleep(RETRY_DELAY.total_seconds())

    async def acquire_shards(self, shard_ids: Iterable[int]) -> None:
        """From now on these shards are observed here; fold from the log what was not."""
        await self._catch_up(sorted(shard_ids))

    async def release_shards(self, shard_ids: Iterable[int]) -> None:
        """Write what was observed of these shards; from now on somebody else does.

        What cannot be written is folded from the log by them.
        """
        try:
            await self.flush()
        except DATABASE_ERRORS as error:
            logger.warning("projection is behind", extra={"why": str(error)})
        for shard_id in shard_ids:
            self._watermarks.pop(shard_id, None)
            self._checkpoints.pop(shard_id, None)

    async def _catch_up(self, shard_ids: Sequence[int]) -> None:
        while not await self._try_catch_up(shard_ids):
            logger.info("projection was overtaken while it caught up")

    async def _try_catch_up(self, shard_ids: Sequence[int]) -> bool:
        """Whether nobody else did the same meanwhile; who did has got further."""
        checkpoints = await self.table.checkpoints()
        try:
            for shard_id in shard_ids:
                await self._project_shard(shard_id, checkpoints[shard_id])
        except CheckpointConflict:
            return False
        return True

    async def rebuild(self) -> int:
        """Fold everything anew; returns the number of events."""
        await self.table.checkpoints()
        events = 0
        async with self.table.rebuilding() as rebuild:
            for shard_id in range(SHARD_COUNT):
                events += await self._rebuild_shard(rebuild, shard_id)
        return events

    async def _rebuild_shard(self, rebuild: Rebuild, shard_id: int) -> int:
        seq = 0
        while page := await self.log.read_shard(shard_id, after_seq=seq, limit=EVENTS_PER_READ):
            await rebuild.write(await self._sagas_in(page))
            seq = page[-1].seq
        await rebuild.set_checkpoint(shard_id, seq)
        return seq

    async def _project_shard(self, shard_id: int, seq: int) -> None:
        while page := await self.log.read_shard(shard_id, after_seq=seq, limit=EVENTS_PER_READ):
            sagas = await self._sagas_in(page)
            await self.table.write(sagas, {shard_id: seq}, {shard_id: page[-1].seq})
            seq = page[-1].seq
        self._checkpoints[shard_id] = seq
        self._watermarks.setdefault(shard_id, ContiguousWatermark(seq)).advance_to(seq)

    async def _sagas_in(self, page: Sequence[RecordedEvent]) -> list[Saga]:
        named = dict.fromkeys(one.stream_id for one in page if one.type != SHARD_OWNED)
        loaded = await self.load(named)
        return [one for one in loaded.values() if isinstance(one, Saga)]

    async def _wait_for_batch(self) -> None:
        try:
            async with asyncio.timeout(FLUSH_INTERVAL.total_seconds()):
                await self._batch_is_full.wait()
        except TimeoutError:
            return


class ContiguousWatermark:
    def __init__(self, seq: int) -> None:
        self.seq = seq
        self._behind_gap: dict[int, int] = {}

    def add(self, first: int, last: int) -> None:
        """The events from `first` to `last` have been seen. Seeing them again changes nothing."""
        if first == self.seq + 1 and not self._behind_gap:  # as nearly always
            self.seq = last
            return
        if first > self.seq:
            self._behind_gap[first] = last
        self._close_gaps()

    def advance_to(self, seq: int) -> None:
        """Everything up to `seq` has been seen, by reading it."""
        if seq > self.seq:
            self.seq = seq
            self._behind_gap = {
                first: last for first, last in self._behind_gap.items() if first > seq
            }
            self._close_gaps()

    def _close_gaps(self) -> None:
        while (last := self._behind_gap.pop(self.seq + 1, None)) is not None:
            self.seq = last

    @property
    def appends_behind_gap(self) -> int:
        """How many appends lie beyond a gap."""
        return len(self._behind_gap)
