"""The calls to one participant: whose turn it is, and what they came to since the process began."""

from __future__ import annotations

import asyncio
from bisect import bisect_left
from collections import defaultdict, deque
from datetime import timedelta
from typing import Final

from ..outcome import Direction, Outcome

# From a participant next door to one that uses up the default timeout of a call.
BOUNDS: Final = tuple(
    timedelta(milliseconds=most)
    for most in (5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000)
)
BOUNDS_SECONDS: Final = tuple(bound.total_seconds() for bound in BOUNDS)


class Traffic:
    """`durations[i]` is how many calls took up to `BOUNDS[i]`, the last one those above."""

    def __init__(self, limit: int) -> None:
        """`limit` calls at a time."""
        self.waiting = 0
        self.in_flight = 0
        self.outcomes: defaultdict[tuple[Direction, Outcome], int] = defaultdict(int)
        self.durations = [0] * (len(BOUNDS) + 1)
        self.seconds = 0.0
        self._limit = limit
        self._queue: deque[asyncio.Future[None]] = deque()

    async def enter(self) -> None:
        """Wait for a turn, first come, first served; `leave` gives it back."""
        if self.in_flight < self._limit:
            self.in_flight += 1
        else:
            await self._wait()

    def leave(self) -> None:
        """A turn goes straight to the next who waits, so that nobody gets in before them."""
        while self._queue:
            turn = self._queue.popleft()
            if not turn.done():
                turn.set_result(None)
                return
        self.in_flight -= 1

    async def _wait(self) -> None:
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._queue.append(turn)
        self.waiting += 1
        try:
            await turn
        except asyncio.CancelledError:
            # The turn may have come in the very moment the call was dropped.
            if not turn.cancelled():
                self.leave()
            raise
        finally:
            self.waiting -= 1

    def count(self, direction: Direction, outcome: Outcome, seconds: float) -> None:
        self.outcomes[direction, outcome] += 1
        self.durations[bisect_left(BOUNDS_SECONDS, seconds)] += 1
        self.seconds += seconds
