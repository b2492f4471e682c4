"""The right to do something, held by so many at a time: a fair semaphore with two queues.

What a crash has left to repeat may be thousands of calls long, and waits in the backlog. Whoever
waits there and whoever waits in the usual queue get every other free turn, so that neither a new
saga waits for the end of the backlog nor the backlog for the end of new sagas.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TypeAlias

Queue: TypeAlias = deque[asyncio.Future[None]]


class Turns:
    """`take`, or else await `come`; then `leave`, whatever happens.

    A free turn costs no coroutine, which on the hot path is nearly always.
    """

    __slots__ = ("_backlog", "_backlog_is_next", "_limit", "_queue", "taken", "waiting")

    def __init__(self, limit: int) -> None:
        self.taken, self.waiting = 0, 0
        self._limit = limit
        # Of 0.8 kB each, and rarely needed.
        self._queue: Queue | None = None
        self._backlog: Queue | None = None
        self._backlog_is_next = False

    def take(self) -> bool:
        """Take a turn; False if none is free."""
        if self.taken == self._limit:
            return False
        self.taken += 1
        return True

    async def come(self, *, in_backlog: bool = False) -> None:
        """Wait for a turn."""
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if in_backlog:
            if self._backlog is None:
                self._backlog = deque()
            self._backlog.append(turn)
        else:
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
        """Give the turn to the next one who waits, so that nobody gets in between."""
        while queue := self._next_queue():
            turn = queue.popleft()
            if not turn.done():
                turn.set_result(None)
                return
        self.taken -= 1

    def _next_queue(self) -> Queue | None:
        if self._backlog and (self._backlog_is_next or not self._queue):
            self._backlog_is_next = False
            return self._backlog
        self._backlog_is_next = True
        return self._queue
