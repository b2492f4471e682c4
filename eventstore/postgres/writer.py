"""The one task of a log object that appends.

Appends queue up; while one batch is being committed the next one gathers, so the size of a batch
follows the load without a timer. seq, version and hash are assigned when a batch is planned, and
callers get their results only once they are certain:

    queue -> plan -> insert -> recorded?  yes: apply the plan, resolve every append
               ^                  | no: read from the log which shards were taken over
               +------------------+     and which versions differ

Invariants: one batch is in flight. No other node can append to an owned shard (the primary key
sees to it), so what is known of an owned shard is true until an insert fails. A shard whose head
is not the known one has another owner: this one is fenced. The shard leaves `_owned`, so that the
batch, planned again, refuses the appends to it with `Fenced`. If the database has lost that head
itself (a failover to a standby that was behind), this log reports it and claims nothing any more.
A caller that is cancelled changes nothing for the others.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Final, cast

import psycopg
from psycopg import errors as database

from ..append_batch import (
    Append,
    AppendQueue,
    BatchPlan,
    Claim,
    OwnedShard,
    QueuedWork,
    Release,
    Work,
    plan_batch,
)
from ..errors import AppendRefused, ClaimFailed, EventStoreError, LogTruncated, LogUnavailable
from ..event import SHARD_COUNT, Head, NewEvent, RecordedEvent, StreamId, shard_of
from ..hash_chain import next_epoch_rows, ownership_event
from .binary_arrays import event_parameters, head_parameters, int4_array, int8_array, uuid_array
from .connection import VALUE_ERRORS
from .writer_session import WriterSession

logger = logging.getLogger(__name__)

# In each round one of the rivals succeeds, so as many losses in a row need as many rivals.
MAX_CLAIM_ATTEMPTS: Final = 64
# How often a claim waits `lock_timeout` for an undecided row of another session.
MAX_LOCK_WAITS: Final = 5


class Writer:
    def __init__(self, session: WriterSession) -> None:
        self._session = session
        self._loop = asyncio.get_running_loop()
        self._queue = AppendQueue()
        self._owned: dict[int, OwnedShard] = {}
        self._in_flight: Sequence[QueuedWork] = ()
        self._last_heads: dict[int, Head] = {}  # last known heads of shards that were owned
        self.truncation: LogTruncated | None = None

    def append(
        self, stream_id: StreamId, expected_version: int, events: Sequence[NewEvent]
    ) -> asyncio.Future[Sequence[RecordedEvent]]:
        done: asyncio.Future[Sequence[RecordedEvent]] = self._loop.create_future()
        size = 0
        for event in events:
            size += len(event.payload)
        shard_id = shard_of(stream_id)
        try:
            append = Append(stream_id, shard_id, expected_version, events, size, done)
            self._queue.put(append)
        except EventStoreError as error:
            done.set_exception(error)
        return done

    async def claim(self, shard_ids: Iterable[int], recorded_at: datetime) -> Mapping[int, int]:
        ordered = sorted(set(shard_ids))
        assert all(0 <= shard_id < SHARD_COUNT for shard_id in ordered)
        done: asyncio.Future[Mapping[int, int]] = self._loop.create_future()
        self._queue.put(Claim(ordered, recorded_at, done))
        return await done

    async def release(self, shard_ids: Iterable[int]) -> None:
        done: asyncio.Future[None] = self._loop.create_future()
        self._queue.put(Release(sorted(set(shard_ids)), done))
        await done

    async def run(self) -> None:
        """Serve arrivals until closed."""
        try:
            while (work := await self._queue.take()) is not None:
                await self._serve(work)
        except Exception:
            # An unexpected failure: what is known of the shards may be wrong now.
            logger.exception("the writer stopped")
        finally:
            self._fail_remaining()

    def close(self) -> None:
        """Accept nothing more. `run` ends once what waits is written or given up."""
        self._queue.close()
        self._session.stop_retrying()

    def _fail_remaining(self) -> None:
        self._owned.clear()
        self._queue.close()
        for arrival in (*self._in_flight, *self._queue.drain()):
            _fail(arrival, LogUnavailable("the writer has ended"))

    async def _serve(self, work: Work) -> None:
        self._in_flight = work if isinstance(work, list) else (work,)
        try:
            match work:
                case Claim():
                    await self._serve_claim(work)
                case Release():
                    self._serve_release(work)
                case _:
                    # Appends that were cancelled before anything was sent need not be written.
                    await self._write([append for append in work if not append.done.cancelled()])
        except EventStoreError as error:
            for arrival in self._in_flight:
                _fail(arrival, error)
        self._in_flight = ()

    async def _write(self, appends: list[Append]) -> None:
        try:
            self._resolve(await self._append_until_certain(appends))
        except VALUE_ERRORS as error:
            await self._write_one_by_one(appends, error)

    async def _write_one_by_one(self, appends: list[Append], error: psycopg.Error) -> None:
        """Write each append alone: the database refuses a value, and only its append must fail."""
        if len(appends) == 1:
            _fail(appends[0], AppendRefused(appends[0].stream_id, str(error)))
            return
        for append in appends:
            await self._write([append])

    async def _append_until_certain(self, appends: list[Append]) -> BatchPlan:
        while True:
            plan = plan_batch(self._owned, appends)
            if plan.unknown_streams:
                await self._look_up_versions(plan.unknown_streams)
                plan = plan_batch(self._owned, appends)
            if not plan.rows or await self._insert(plan.rows, plan.heads_before):
                return plan
            await self._resync(plan)

    def _resolve(self, plan: BatchPlan) -> None:
        for shard_id, head in plan.heads_after.items():
            self._owned[shard_id].head = head
        for (stream_id, shard_id, _, _, _, done), rows in plan.accepted:
            self._owned[shard_id].cache_version(stream_id, rows[-1].version)
            if not done.done():
                done.set_result(rows)
        for append, error in plan.refused:
            _fail(append, error)

    async def _insert(
        self,
        rows: Sequence[RecordedEvent],
        before: Mapping[int, Head],
        *,
        wait_for_locks: bool = True,
    ) -> bool:
        """Insert the rows. True if exactly these are in the log now.

        They may be there from an earlier insert whose answer was lost.
        """
        parameters = event_parameters(rows) | head_parameters(before)
        try:
            inserted = await self._session.execute(
                "append_events", parameters, wait_for_locks=wait_for_locks
            )
        except database.UniqueViolation:
            return await self._are_stored(rows)
        return inserted == len(rows) or await self._are_stored(rows)

    async def _are_stored(self, rows: Sequence[RecordedEvent]) -> bool:
        shard_ids = int4_array([row.shard_id for row in rows])
        seqs = int8_array([row.seq for row in rows])
        parameters = {"shard_ids": shard_ids, "seqs": seqs}
        stored = await self._session.fetch("read_hashes", parameters)
        if set(stored) != {(row.shard_id, row.seq, row.hash) for row in rows}:
            return False
        # The rows of a session that was ended while it waited for a standby are visible already.
        await self._session.fetch("confirm_commits", {})
        return True

    async def _resync(self, plan: BatchPlan) -> None:
        """Drop the shards from which this owner is fenced; correct the versions in the others."""
        heads = await self._read_heads(plan.heads_before)
        for shard_id, head in plan.heads_before.items():
            if heads.get(shard_id) != head:
                logger.warning(
                    "fenced: another node owns the shard",
                    extra={"shard_id": shard_id, "epoch": head.epoch},
                )
                self._drop_shard(shard_id)
                await self._verify_known_head([shard_id])
        await self._look_up_versions(
            append.stream_id for append, _ in plan.accepted if append.shard_id in self._owned
        )

    async def _look_up_versions(self, stream_ids: Iterable[StreamId]) -> None:
        versions = dict.fromkeys(stream_ids, 0)
        if not versions:
            return
        shard_ids = int4_array([shard_of(stream_id) for stream_id in versions])
        parameters = {"shard_ids": shard_ids, "stream_ids": uuid_array(list(versions))}
        rows = await self._session.fetch("read_versions", parameters)
        versions.update(cast(list[tuple[StreamId, int]], rows))
        for stream_id, version in versions.items():
            self._owned[shard_of(stream_id)].cache_version(stream_id, version)

    # Claims and releases

    def _drop_shard(self, shard_id: int) -> None:
        if shard := self._owned.pop(shard_id, None):
            self._last_heads[shard_id] = shard.head

    async def _verify_known_head(self, shard_ids: Iterable[int]) -> None:
        """Check that the log still has the last known heads: new owners append behind them."""
        known = {
            shard_id: self._last_heads[shard_id]
            for shard_id in shard_ids
            if shard_id in self._last_heads
        }
        if not known or self.truncation:
            return
        seqs = int8_array([head.seq for head in known.values()])
        rows = await self._session.fetch(
            "read_hashes", {"shard_ids": int4_array(list(known)), "seqs": seqs}
        )
        recorded = {(shard_id, digest) for shard_id, _, digest in rows}
        for shard_id, head in known.items():
            if (shard_id, head.hash) not in recorded:
                self.truncation = LogTruncated(shard_id, head.seq)
                logger.error("history lost", extra={"shard_id": shard_id, "seq": head.seq})
                return

    def _serve_release(self, release: Release) -> None:
        for shard_id in release.shard_ids:
            self._drop_shard(shard_id)
        if not release.done.done():
            release.done.set_result(None)

    async def _serve_claim(self, claim: Claim) -> None:
        try:
            epochs = await self._claim_shards(claim)
        except VALUE_ERRORS as error:
            raise ClaimFailed(claim.shard_ids, str(error)) from error
        if not claim.done.done():
            claim.done.set_result(epochs)

    async def _claim_shards(self, claim: Claim) -> Mapping[int, int]:
        await self._verify_known_head(claim.shard_ids)
        if self.truncation:
            raise ClaimFailed(claim.shard_ids, str(self.truncation))
        ((token,),) = await self._session.fetch("draw_token", {})
        event = ownership_event(str(token), claim.recorded_at)
        for _ in range(MAX_CLAIM_ATTEMPTS):
            heads = await self._read_heads(claim.shard_ids)
            rows = next_epoch_rows(heads, claim.shard_ids, event)
            if await self._insert_behind_locks(claim, rows, heads):
                return self._take_ownership(rows)
        raise ClaimFailed(claim.shard_ids, "other nodes were faster every time")

    async def _insert_behind_locks(
        self, claim: Claim, rows: Sequence[RecordedEvent], heads: Mapping[int, Head]
    ) -> bool:
        for _ in range(MAX_LOCK_WAITS):
            try:
                return await self._insert(rows, heads, wait_for_locks=False)
            except database.LockNotAvailable:
                logger.warning("a claim waits for an undecided append")
        raise ClaimFailed(claim.shard_ids, "an append of the former owner is still undecided")

    def _take_ownership(self, rows: Iterable[RecordedEvent]) -> Mapping[int, int]:
        for row in rows:
            self._owned[row.shard_id] = OwnedShard(Head(row.seq, row.epoch, row.hash))
        return {row.shard_id: row.epoch for row in rows}

    async def _read_heads(self, shard_ids: Iterable[int]) -> dict[int, Head]:
        parameters = {"shard_ids": int4_array(list(shard_ids))}
        fetched = await self._session.fetch("read_heads", parameters)
        rows = cast(list[tuple[int, int, int, bytes]], fetched)
        return {shard_id: Head(seq, epoch, digest) for shard_id, seq, epoch, digest in rows}


def _fail(arrival: QueuedWork, error: EventStoreError) -> None:
    if not arrival.done.done():
        arrival.done.set_exception(error)
