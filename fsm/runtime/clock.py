"""Time, randomness and new ids: the only module that reads or draws them."""

from __future__ import annotations

import os
import random
import time
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    def now(self) -> datetime:
        """Return the current time: aware, UTC."""

    def jitter(self) -> float:
        """Return a random number, uniform in [0, 1)."""

    def new_saga_id(self, shard_id: int, shards: int) -> str:
        """Return a new saga id that belongs to the shard."""


class SystemClock:
    """The clock and randomness of the operating system."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def jitter(self) -> float:
        return random.random()

    def new_saga_id(self, shard_id: int, shards: int) -> str:
        drawn = int.from_bytes(os.urandom(10)) >> 6
        return saga_id(time.time_ns() // 1_000_000, drawn, shard_id, shards)


def saga_id(milliseconds: int, drawn: int, shard_id: int, shards: int) -> str:
    """Return a UUID of version 7 (RFC 9562) whose last byte, modulo `shards`, is its shard.

    `drawn` has 74 random bits, of which the last eight choose among the bytes of that shard.
    """
    assert 0 <= shard_id < shards <= 256
    last = shard_id + shards * ((drawn & 0xFF) % (256 // shards))
    low = (drawn & ((1 << 62) - 1) & ~0xFF) | last
    value = (milliseconds << 80) | (7 << 76) | ((drawn >> 62) << 64) | (0b10 << 62) | low
    text = f"{value:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
