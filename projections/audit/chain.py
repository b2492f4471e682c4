"""Verification of the hash chain of every shard, for `GET /audit/verify` and for the doctor."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass

from ...eventstore import (
    EMPTY_HEAD,
    SHARD_COUNT,
    EventLog,
    Head,
    LogUnavailable,
    RecordedEvent,
    find_broken_event,
)
from ..errors import ProjectionUnavailable

EVENTS_PER_READ = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class ChainVerdict:
    """The result of a verification: `heads` of the shards verified, and the first wrong event."""

    events: int
    heads: Mapping[int, Head]
    first_bad: RecordedEvent | None = None


async def verify_log(log: EventLog) -> ChainVerdict:
    """Verify the whole log, shard by shard. Raises ProjectionUnavailable."""
    try:
        return await _verify(log)
    except LogUnavailable as error:
        raise ProjectionUnavailable(str(error)) from error


async def _verify(log: EventLog) -> ChainVerdict:
    events = 0
    heads: dict[int, Head] = {}
    for shard_id in range(SHARD_COUNT):
        head, bad = await verify_shard(log, shard_id)
        events += head.seq
        if bad is not None:
            return ChainVerdict(events=events, heads=heads, first_bad=bad)
        heads[shard_id] = head
    return ChainVerdict(events=events, heads=heads)


async def verify_shard(
    log: EventLog, shard_id: int, up_to: int = sys.maxsize
) -> tuple[Head, RecordedEvent | None]:
    """Verify the events of a shard up to a seq. Return its head as far as it is verified, page by
    page, and the first event that does not continue the chain."""
    head = EMPTY_HEAD
    while limit := min(EVENTS_PER_READ, up_to - head.seq):
        page = await log.read_shard(shard_id, after_seq=head.seq, limit=limit)
        if not page:
            break
        if (bad := find_broken_event(page, head)) is not None:
            return head, bad
        head = Head(page[-1].seq, page[-1].epoch, page[-1].hash)
    return head, None
