"""The right to do something, held by so many at a time: first come, first served."""

from __future__ import annotations

import asyncio
from collections import deque


class Turns:
    """`take`, or else await `come`; then `leave`, whatever happens.

    Whoever finds a turn free pays for no coroutine, which on the hot path is nearly everybody.
    """

    __slots__ = ("_limit", "_queue", "taken", "waiting")

    def __init__(self, limit: int) -> None:
        self.taken, self.waiting = 0, 0
        self._limit = limit
        self._queue: deque[asyncio.Future[None]] | None = None  # of 0.8 kB, and rarely needed

    def take(self) -> bool:
        """Whether one was free."""
        if self.taken == self._limit:
            return False
        self.taken += 1
        return True

    async def come(self) -> None:
        """Wait for one."""
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if self._queue is None:
            self._queue = deque()
        self._queue.append(turn)
        self.waiting += 1
        try:
            await turn
        except asyncio.CancelledError:
            # The turn may have come in the very moment its holder was dropped.
            if not turn.cancelled():
                self.leave()
            raise
        finally:
            self.waiting -= 1

    def leave(self) -> None:
        """A turn goes straight to the next who waits, so that nobody gets in before them."""
        while self._queue:
            turn = self._queue.popleft()
            if not turn.done():
                turn.set_result(None)
                return
        self.taken -= 1
