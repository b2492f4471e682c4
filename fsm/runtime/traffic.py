"""The calls to one participant: whose turn it is, and what they came to since the process began."""

from __future__ import annotations

import asyncio
from bisect import bisect_left
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Final

from ..outcome import Direction, Outcome

# From a participant next door to one that uses up the default timeout of a call.
BOUNDS: Final = tuple(
    timedelta(milliseconds=most)
    for most in (5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000)
)


class Traffic:
    """`durations[i]` is how many calls took up to `BOUNDS[i]`, the last one those above."""

    def __init__(self, limit: int) -> None:
        """`limit` calls at a time."""
        self.waiting = 0
        self.in_flight = 0
        self.outcomes: Counter[tuple[Direction, Outcome]] = Counter()
        self.durations = [0] * (len(BOUNDS) + 1)
        self.duration_sum = timedelta()
        self._turns = asyncio.Semaphore(limit)

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        self.waiting += 1
        try:
            await self._turns.acquire()
        finally:
            self.waiting -= 1
        self.in_flight += 1
        try:
            yield
        finally:
            self.in_flight -= 1
            self._turns.release()

    def count(self, direction: Direction, outcome: Outcome, took: timedelta) -> None:
        self.outcomes[direction, outcome] += 1
        self.durations[bisect_left(BOUNDS, took)] += 1
        self.duration_sum += took
