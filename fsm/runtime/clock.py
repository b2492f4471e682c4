"""Time, chance and new names: the one place that draws them."""

from __future__ import annotations

import os
import random
import time
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    def now(self) -> datetime:
        """Aware, UTC."""

    def jitter(self) -> float:
        """Evenly from [0, 1)."""

    def new_saga_id(self, shard_id: int, shards: int) -> str:
        """A new name for a saga of that shard."""


class SystemClock:
    def now(self) -> datetime:
        return datetime.now(UTC)

    def jitter(self) -> float:
        return random.random()

    def new_saga_id(self, shard_id: int, shards: int) -> str:
        drawn = int.from_bytes(os.urandom(10)) >> 6
        return saga_id(time.time_ns() // 1_000_000, drawn, shard_id, shards)


def saga_id(milliseconds: int, drawn: int, shard_id: int, shards: int) -> str:
    """A UUID of version 7 (RFC 9562) whose last byte, modulo `shards`, is its shard.

    `drawn` has 74 random bits, of which the last eight choose among the bytes of that shard.
    """
    assert 0 <= shard_id < shards <= 256
    last = shard_id + shards * ((drawn & 0xFF) % (256 // shards))
    low = (drawn & ((1 << 62) - 1) & ~0xFF) | last
    value = (milliseconds << 80) | (7 << 76) | ((drawn >> 62) << 64) | (0b10 << 62) | low
    text = f"{value:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
