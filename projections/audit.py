"""Whether the log is what was written: each event of each shard, by its place in the chain."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ..eventstore import NOTHING, SHARDS, EventLog, Head, LogUnavailable, RecordedEvent, verify
from .errors import ProjectionUnavailable

PAGE = 1000  # events of one read


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditVerdict:
    """`first_bad` is the first event that is not what was written; `heads` what was reached."""

    events: int
    heads: Mapping[int, Head]
    first_bad: RecordedEvent | None = None


async def verify_log(log: EventLog) -> AuditVerdict:
    """Reads the whole log, shard by shard. Raises ProjectionUnavailable."""
    try:
        return await _verify(log)
    except LogUnavailable as error:
        raise ProjectionUnavailable(str(error)) from error


async def _verify(log: EventLog) -> AuditVerdict:
    events = 0
    heads: dict[int, Head] = {}
    for shard_id in range(SHARDS):
        head = NOTHING
        while page := await log.read_shard(shard_id, after_seq=head.seq, limit=PAGE):
            if (bad := verify(page, head)) is not None:
                return AuditVerdict(events=events, heads=heads, first_bad=bad)
            last, events = page[-1], events + len(page)
            head = Head(last.seq, last.epoch, last.hash)
        heads[shard_id] = head
    return AuditVerdict(events=events, heads=heads)
