"""The projector keeps the status table up to date: rows and checkpoints in one transaction.

The driver reports every commit together with the saga that it has produced, so nothing is read
twice. Events that were not reported (before a start, behind a gap, after a checkpoint conflict) are
read from the log. Checkpoints move by compare-and-set, so two projectors never mix their work: the
later one aborts, reads the checkpoints of the other, and continues from there.

    commits ──> dirty sagas, watermarks ──(100 ms or 500 sagas)──> rows + checkpoints
    log ──> pages of a shard ──> their sagas, replayed whole ──> rows + checkpoint

Most sagas come to rest within 100 ms. A row that would soon be written again is therefore deferred
once, and the checkpoint of its shard stays before it. A saga at rest is shown within 100 ms, a saga
in progress within 200 ms.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

import psycopg

from ..eventstore import SHARD_COUNT, SHARD_OWNED, EventLog, LogUnavailable, RecordedEvent
from ..fsm.saga import Saga
from .errors import CheckpointConflict
from .status_table import Rebuild, StatusTable

logger = logging.getLogger("saga_orchestrator")

FLUSH_INTERVAL = timedelta(milliseconds=100)
MAX_DIRTY_SAGAS = 500  # with more the projector writes without waiting for the interval to end
MAX_APPENDS_BEHIND_GAP = 1000  # with more in a shard the projector reads the log instead
EVENTS_PER_READ = 1000
RETRY_DELAY = timedelta(seconds=1)
DATABASE_ERRORS = (psycopg.Error, OSError, LogUnavailable)

LoadSagas = Callable[[Iterable[str]], Awaitable[Mapping[str, Saga | Exception]]]


@dataclass(slots=True)
class DirtySaga:
    """The newest state of a saga, and the seq of the first event that its row does not show."""

    saga: Saga
    shard_id: int
    seq: int
    was_deferred: bool = False

    @property
    def is_due(self) -> bool:
        return self.was_deferred or self.saga.state.status.is_at_rest


class Projector:
    """Writes the status table. `load` replays sagas from their streams."""

    def __init__(self, table: StatusTable, log: EventLog, load: LoadSagas) -> None:
        self.table, self.log, self.load = table, log, load
        self._checkpoints: dict[int, int] = {}
        self._watermarks: dict[int, ContiguousWatermark] = {}
        self._dirty: dict[str, DirtySaga] = {}
        self._lock = asyncio.Lock()
        self._has_dirty = asyncio.Event()
        self._batch_is_full = asyncio.Event()

    def observe(self, saga: Saga, recorded: Sequence[RecordedEvent]) -> None:
        """Note that the commit of the events `recorded` has produced `saga`."""
        first, last = recorded[0], recorded[-1]
        change = self._dirty.get(saga.state.saga_id)
        if change is None:
            self._dirty[saga.state.saga_id] = DirtySaga(saga, first.shard_id, first.seq)
            self._has_dirty.set()
        else:
            change.saga = saga
        if (watermark := self._watermarks.get(first.shard_id)) is not None:
            watermark.add(first.seq, last.seq)
        if len(self._dirty) >= MAX_DIRTY_SAGAS:
            self._batch_is_full.set()

    async def flush(self) -> int:
        """Write all dirty sagas and return their number.

        Writes never overlap: a later one must not move the checkpoint past one that has failed.
        """
        async with self._lock:
            changes, self._dirty = self._dirty, {}
            return await self._write(changes)

    async def flush_due(self) -> int:
        """Write the sagas at rest and those deferred before, and return their number.

        Sagas in progress are deferred once.
        """
        async with self._lock:
            dirty = self._dirty.items()
            due = {saga_id: change for saga_id, change in dirty if change.is_due}
            self._dirty = {saga_id: change for saga_id, change in dirty if not change.is_due}
            self._defer(self._dirty)
            return await self._write(due)

    def _defer(self, changes: Mapping[str, DirtySaga]) -> None:
        """Keep `changes` dirty, and due at the next flush."""
        for saga_id, change in changes.items():
            self._dirty.setdefault(saga_id, change).was_deferred = True

    async def _write(self, changes: Mapping[str, DirtySaga]) -> int:
        checkpoints = self._next_checkpoints()
        try:
            sagas = [change.saga for change in changes.values()]
            await self.table.write(sagas, self._checkpoints, checkpoints)
        except CheckpointConflict:
            # Kept until the log has been read, which may fail: the watermarks cover them already.
            self._defer(changes)
            await self._catch_up(sorted(self._watermarks))
            return len(changes)
        except BaseException:  # a stop cancels the write, too; its rows must still be written
            self._defer(changes)
            raise
        self._checkpoints.update(checkpoints)
        if any(
            mark.appends_behind_gap > MAX_APPENDS_BEHIND_GAP for mark in self._watermarks.values()
        ):
            await self._catch_up(sorted(self._watermarks))
        return len(changes)

    def _next_checkpoints(self) -> dict[int, int]:
        """Return the checkpoints that the rows will cover: those before the deferred sagas."""
        checkpoints = {shard_id: mark.seq for shard_id, mark in self._watermarks.items()}
        for change in self._dirty.values():
            if change.shard_id in checkpoints:
                seq = max(change.seq - 1, self._checkpoints[change.shard_id])
                checkpoints[change.shard_id] = min(checkpoints[change.shard_id], seq)
        return checkpoints

    async def run(self) -> None:
        """Write dirty sagas every 100 ms, or as soon as there are many, until cancelled."""
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
                logger.warning("projection is behind", extra={"error": str(error)})
                self._has_dirty.set()
                await asyncio.sleep(RETRY_DELAY.total_seconds())

    async def acquire_shards(self, shard_ids: Iterable[int]) -> None:
        """Begin to follow these shards, after reading from the log what is not projected yet."""
        await self._catch_up(sorted(shard_ids))

    async def release_shards(self, shard_ids: Iterable[int]) -> None:
        """Write the dirty sagas and stop following these shards.

        What cannot be written now is read from the log by the next owner.
        """
        try:
            await self.flush()
        except DATABASE_ERRORS as error:
            logger.warning("projection is behind", extra={"error": str(error)})
        for shard_id in shard_ids:
            self._watermarks.pop(shard_id, None)
            self._checkpoints.pop(shard_id, None)

    async def _catch_up(self, shard_ids: Sequence[int]) -> None:
        while not await self._try_catch_up(shard_ids):
            logger.info("checkpoint conflict while catching up")

    async def _try_catch_up(self, shard_ids: Sequence[int]) -> bool:
        """False if another node has moved a checkpoint meanwhile; it has then got further."""
        checkpoints = await self.table.checkpoints()
        try:
            for shard_id in shard_ids:
                await self._project_shard(shard_id, checkpoints[shard_id])
        except CheckpointConflict:
            return False
        return True

    async def rebuild(self) -> int:
        """Project the whole log again and return the number of its events."""
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
        saga_ids = dict.fromkeys(event.stream_id for event in page if event.type != SHARD_OWNED)
        loaded = await self.load(saga_ids)
        return [saga for saga in loaded.values() if isinstance(saga, Saga)]

    async def _wait_for_batch(self) -> None:
        try:
            async with asyncio.timeout(FLUSH_INTERVAL.total_seconds()):
                await self._batch_is_full.wait()
        except TimeoutError:
            return


class ContiguousWatermark:
    """The last seq of a shard before which no event is missing.

    Appends are reported in the order in which their callers resume, which is nearly that of the
    log. Appends behind a gap count once the gap is closed.
    """

    def __init__(self, seq: int) -> None:
        self.seq = seq
        self._behind_gap: dict[int, int] = {}

    def add(self, first: int, last: int) -> None:
        """Add the events from `first` to `last`. Safe to repeat."""
        if first == self.seq + 1 and not self._behind_gap:  # nearly always
            self.seq = last
            return
        if first > self.seq:
            self._behind_gap[first] = last
        self._close_gaps()

    def advance_to(self, seq: int) -> None:
        """Count every event up to `seq` as known. Never moves back."""
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
        """The number of appends behind a gap."""
        return len(self._behind_gap)
