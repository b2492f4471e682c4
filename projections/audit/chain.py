"""Verification of the log: the hash chain of every shard."""

from __future__ import annotations

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
        head = EMPTY_HEAD
        while page := await log.read_shard(shard_id, after_seq=head.seq, limit=EVENTS_PER_READ):
            if (bad := find_broken_event(page, head)) is not None:
                return ChainVerdict(events=events, heads=heads, first_bad=bad)
            last, events = page[-1], events + len(page)
            head = Head(last.seq, last.epoch, last.hash)
        heads[shard_id] = head
    return ChainVerdict(events=events, heads=heads)
