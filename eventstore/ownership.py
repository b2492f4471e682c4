"""How a shard changes hands.

The new owner appends one `ShardOwned` event directly behind the head, in the next epoch, like any
other row. Whoever appends there first has the epoch; the old owner, stalled or not, then collides
with that row, and a rival who read the same head collides too and tries the epoch after. The token
makes two claims differ in every case: a claim whose answer was lost is recognised by its hash, and
a rival's claim must not be mistaken for one's own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from .chain import link
from .event import NOTHING, SHARD_OWNED, Head, NewEvent, RecordedEvent, shard_stream


def ownership_event(token: str, recorded_at: datetime) -> NewEvent:
    payload = b'{"claim":"%s"}' % token.encode()
    return NewEvent(type=SHARD_OWNED, schema_version=1, recorded_at=recorded_at, payload=payload)


def take_over(
    heads: Mapping[int, Head], shard_ids: Sequence[int], event: NewEvent
) -> list[RecordedEvent]:
    """One row a shard: the beginning of its next epoch."""
    return [_next_epoch(heads.get(shard_id, NOTHING), shard_id, event) for shard_id in shard_ids]


def _next_epoch(head: Head, shard_id: int, event: NewEvent) -> RecordedEvent:
    begun = Head(head.seq, head.epoch + 1, head.hash)
    (row,) = link(begun, shard_id, shard_stream(shard_id), head.epoch, [event])
    return row
