"""Leaves of the tree: what is said of an event, without its payload.

    saga-event/v1
    17 4711 3                                     shard, seq, epoch
    0190f1b2-…-11 2                               saga, version
    StepSucceeded 1                               type, schema version
    2026-11-30T18:27:30.000001Z                   when it was recorded
    q3Yk…=                                        commitment to the payload
    9Xbq…=                                        leaf of the event before it in the saga, or -

A leaf names the leaf before it in its saga. So one proof of inclusion, of an event, vouches for the
saga up to that event.

The payload is behind a commitment: its HMAC under a salt. A salt is itself an HMAC, under a secret
of the installation, of the event's place. So nobody can guess a payload from its leaf, not even a
short one, and who gets a payload gets its salt with it.
"""

from __future__ import annotations

import hmac
from base64 import b64encode
from typing import Final

from ....eventstore import RecordedEvent
from ....fsm.codec import format_time
from .merkle_tree import leaf_hash

FIRST_LINE: Final = "saga-event/v1"
NO_LEAF: Final = "-"
SALT_BYTES: Final = 32


def salt(secret: bytes, shard_id: int, seq: int) -> bytes:
    """Return the salt of the payload at a place in the log."""
    return hmac.digest(secret, b"payload %d %d" % (shard_id, seq), "sha256")


def commitment(salt: bytes, payload: bytes) -> bytes:
    assert len(salt) == SALT_BYTES, "a shorter key of an HMAC can stand for another one"
    return hmac.digest(salt, payload, "sha256")


def leaf_text(event: RecordedEvent, committed: bytes, previous: bytes | None) -> str:
    """Return the leaf of an event: `committed` is the commitment to its payload, `previous` the
    hash of the leaf before it in its saga."""
    lines = (
        FIRST_LINE,
        f"{event.shard_id} {event.seq} {event.epoch}",
        f"{event.stream_id} {event.version}",
        f"{event.type} {event.schema_version}",
        format_time(event.recorded_at),
        b64encode(committed).decode(),
        NO_LEAF if previous is None else b64encode(previous).decode(),
        "",
    )
    return "\n".join(lines)


def hash_of_leaf(text: str) -> bytes:
    return leaf_hash(text.encode())
