"""The one task of a log object that appends.

Callers queue up; while one batch is being committed the next one gathers, so the size of a batch
follows the load without a timer. seq, version and hash are assigned when a batch is drafted, and
callers hear of it only when it is certain:

    arrivals -> draft -> insert -> landed?  yes: adopt the draft, tell everybody
                  ^                   | no: ask the log which shards were taken over
                  +-------------------+     and which versions are others

Invariants: one batch is in flight; nobody else appends to an owned shard (the primary key sees to
it), so what is remembered of an owned shard is true until an insert fails; a shard whose head is
not the remembered one is lost. If the database has lost that head itself (a failover to a standby
that was behind), this log says so and never claims anything again. A caller who goes away changes
nothing for the others.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Final, cast

import psycopg
from psycopg import errors as database

from .arrivals import Arrival, Arrivals, Claim, Release, Work
from .batch import Append, Draft, OwnedShard, draft
from .columns import event_columns, head_columns, int4s, int8s, uuids
from .connection import REFUSED
from .errors import AppendRefused, ClaimFailed, EventStoreError, HistoryLost, LogUnavailable
from .event import SHARDS, Head, NewEvent, RecordedEvent, StreamId, shard_of
from .ownership import ownership_event, take_over
from .session import Session

logger = logging.getLogger(__name__)

# In each round somebody wins, so this many losses in a row need this many rivals.
MAX_CLAIM_ROUNDS: Final = 64
# Times a claim waits `lock_timeout` for somebody else's undecided row.
MAX_LOCK_WAITS: Final = 5


class Writer:
    def __init__(self, session: Session) -> None:
        self._session = session
        self._loop = asyncio.get_running_loop()
        self._arrivals = Arrivals()
        self._owned: dict[int, OwnedShard] = {}
        self._in_flight: Sequence[Arrival] = ()
        self._left: dict[int, Head] = {}  # the last that was known of shards that were owned
        self.history_lost: HistoryLost | None = None

    def append(
        self, stream_id: StreamId, expected_version: int, events: Sequence[NewEvent]
    ) -> asyncio.Future[Sequence[RecordedEvent]]:
        done: asyncio.Future[Sequence[RecordedEvent]] = self._loop.create_future()
        size = 0
        for event in events:
            size += len(event.payload)
        shard_id = shard_of(stream_id)
        try:
            self._arrivals.put(
                tuple.__new__(Append, (stream_id, shard_id, expected_version, events, size, done))
            )
        except EventStoreError as error:
            done.set_exception(error)
        return done

    async def claim(self, shard_ids: Iterable[int], recorded_at: datetime) -> Mapping[int, int]:
        wanted = sorted(set(shard_ids))
        assert all(0 <= shard_id < SHARDS for shard_id in wanted)
        done: asyncio.Future[Mapping[int, int]] = self._loop.create_future()
        self._arrivals.put(Claim(wanted, recorded_at, done))
        return await done

    async def release(self, shard_ids: Iterable[int]) -> None:
        done: asyncio.Future[None] = self._loop.create_future()
        self._arrivals.put(Release(sorted(set(shard_ids)), done))
        await done

    async def run(self) -> None:
        """Serve arrivals until closed."""
        try:
            while (work := await self._arrivals.take()) is not None:
                await self._serve(work)
        except Exception:
            # Not one of the failures that are provided for: what is remembered may be wrong now.
            logger.exception("the writer stopped")
        finally:
            self._abandon()

    def close(self) -> None:
        """Accept nothing more; `run` ends after what waits is written or given up."""
        self._arrivals.close()
        self._session.stop_trying()

    def _abandon(self) -> None:
        self._owned.clear()
        self._arrivals.close()
        for arrival in (*self._in_flight, *self._arrivals.drain()):
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
                    # Whoever went away before anything was sent need not be written.
                    await self._write([append for append in work if not append.done.cancelled()])
        except EventStoreError as error:
            for arrival in self._in_flight:
                _fail(arrival, error)
        self._in_flight = ()

    async def _write(self, appends: list[Append]) -> None:
        try:
            self._tell(await self._settle(appends))
        except REFUSED as error:
            await self._write_apart(appends, error)

    async def _write_apart(self, appends: list[Append], error: psycopg.Error) -> None:
        """The database objects to a value: find out whose it is, and spare the others."""
        if len(appends) == 1:
            _fail(appends[0], AppendRefused(appends[0].stream_id, str(error)))
            return
        for append in appends:
            await self._write([append])

    async def _settle(self, appends: list[Append]) -> Draft:
        while True:
            drafted = draft(self._owned, appends)
            if drafted.unknown:
                await self._look_up(drafted.unknown)
                drafted = draft(self._owned, appends)
            if not drafted.rows or await self._land(drafted.rows, drafted.before):
                return drafted
            await self._learn_again(drafted)

    def _tell(self, drafted: Draft) -> None:
        for shard_id, head in drafted.after.items():
            self._owned[shard_id].head = head
        for (stream_id, shard_id, _, _, _, done), rows in drafted.accepted:
            self._owned[shard_id].remember(stream_id, rows[-1].version)
            if not done.done():
                done.set_result(rows)
        for append, error in drafted.refused:
            _fail(append, error)

    async def _land(
        self,
        rows: Sequence[RecordedEvent],
        before: Mapping[int, Head],
        *,
        wait_for_locks: bool = True,
    ) -> bool:
        """Whether these very rows are in the log: from this insert, or from one before it whose
        answer was lost."""
        parameters = event_columns(rows) | head_columns(before)
        try:
            landed = await self._session.execute(
                "append_events", parameters, wait_for_locks=wait_for_locks
            )
        except database.UniqueViolation:
            return await self._are_stored(rows)
        return landed == len(rows) or await self._are_stored(rows)

    async def _are_stored(self, rows: Sequence[RecordedEvent]) -> bool:
        shard_ids = int4s([row.shard_id for row in rows])
        seqs = int8s([row.seq for row in rows])
        parameters = {"shard_ids": shard_ids, "seqs": seqs}
        stored = await self._session.fetch("read_hashes", parameters)
        if set(stored) != {(row.shard_id, row.seq, row.hash) for row in rows}:
            return False
        # A session that was ended while it waited for a standby shows its rows without it.
        await self._session.fetch("confirm_commits", {})
        return True

    async def _learn_again(self, drafted: Draft) -> None:
        """Something unknown is in the log: drop the shards that were taken over, and correct the
        versions in the others."""
        heads = await self._read_heads(drafted.before)
        for shard_id, head in drafted.before.items():
            if heads.get(shard_id) != head:
                logger.warning("shard lost", extra={"shard_id": shard_id, "epoch": head.epoch})
                self._leave(shard_id)
                await self._examine([shard_id])
        await self._look_up(
            append.stream_id for append, _ in drafted.accepted if append.shard_id in self._owned
        )

    async def _look_up(self, stream_ids: Iterable[StreamId]) -> None:
        versions = dict.fromkeys(stream_ids, 0)
        if not versions:
            return
        shard_ids = int4s([shard_of(stream_id) for stream_id in versions])
        parameters = {"shard_ids": shard_ids, "stream_ids": uuids(list(versions))}
        found = await self._session.fetch("read_versions", parameters)
        versions.update(cast(list[tuple[StreamId, int]], found))
        for stream_id, version in versions.items():
            self._owned[shard_of(stream_id)].remember(stream_id, version)

    # Claims and releases

    def _leave(self, shard_id: int) -> None:
        if shard := self._owned.pop(shard_id, None):
            self._left[shard_id] = shard.head

    async def _examine(self, shard_ids: Iterable[int]) -> None:
        """Whether the log still has what was last known of these shards: heirs append behind it."""
        left = {one: self._left[one] for one in shard_ids if one in self._left}
        if not left or self.history_lost:
            return
        seqs = int8s([head.seq for head in left.values()])
        found = await self._session.fetch(
            "read_hashes", {"shard_ids": int4s(list(left)), "seqs": seqs}
        )
        there = {(shard_id, digest) for shard_id, _, digest in found}
        for shard_id, head in left.items():
            if (shard_id, head.hash) not in there:
                self.history_lost = HistoryLost(shard_id, head.seq)
                logger.error("history lost", extra={"shard_id": shard_id, "seq": head.seq})
                return

    def _serve_release(self, release: Release) -> None:
        for shard_id in release.shard_ids:
            self._leave(shard_id)
        if not release.done.done():
            release.done.set_result(None)

    async def _serve_claim(self, claim: Claim) -> None:
        try:
            epochs = await self._take_over(claim)
        except REFUSED as error:
            raise ClaimFailed(claim.shard_ids, str(error)) from error
        if not claim.done.done():
            claim.done.set_result(epochs)

    async def _take_over(self, claim: Claim) -> Mapping[int, int]:
        await self._examine(claim.shard_ids)
        if self.history_lost:
            raise ClaimFailed(claim.shard_ids, str(self.history_lost))
        ((token,),) = await self._session.fetch("draw_token", {})
        event = ownership_event(str(token), claim.recorded_at)
        for _ in range(MAX_CLAIM_ROUNDS):
            heads = await self._read_heads(claim.shard_ids)
            rows = take_over(heads, claim.shard_ids, event)
            if await self._land_behind_locks(claim, rows, heads):
                return self._adopt(rows)
        raise ClaimFailed(claim.shard_ids, "others were faster every time")

    async def _land_behind_locks(
        self, claim: Claim, rows: Sequence[RecordedEvent], heads: Mapping[int, Head]
    ) -> bool:
        for _ in range(MAX_LOCK_WAITS):
            try:
                return await self._land(rows, heads, wait_for_locks=False)
            except database.LockNotAvailable:
                logger.warning("a claim waits for an undecided append")
        raise ClaimFailed(claim.shard_ids, "an append of the owner before is still undecided")

    def _adopt(self, rows: Iterable[RecordedEvent]) -> Mapping[int, int]:
        for row in rows:
            self._owned[row.shard_id] = OwnedShard(Head(row.seq, row.epoch, row.hash))
        return {row.shard_id: row.epoch for row in rows}

    async def _read_heads(self, shard_ids: Iterable[int]) -> dict[int, Head]:
        parameters = {"shard_ids": int4s(list(shard_ids))}
        found = await self._session.fetch("read_heads", parameters)
        rows = cast(list[tuple[int, int, int, bytes]], found)
        return {shard_id: Head(seq, epoch, digest) for shard_id, seq, epoch, digest in rows}


def _fail(arrival: Arrival, error: EventStoreError) -> None:
    if not arrival.done.done():
        arrival.done.set_exception(error)
