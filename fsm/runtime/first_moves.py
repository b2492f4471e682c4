"""After a crash every saga makes its first move before any makes its second.

Sagas that were under way have all waited equally long. Were each of them to go on as soon as it
can, the first would be done before the last had begun. The sagas that are expected are named before
they are read from the log; a saga has moved once a call of it leaves, or has none to send.

That is worth waiting for as long as this process is what the first moves wait for. If fewer than
FEWEST_MOVES were made within LOOK_EVERY, they wait for participants, which must not hold up the
sagas of others: then every saga goes on. A saga that is begun later, or that was here all the time,
never waits for any of this.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable
from datetime import timedelta
from typing import Final

LOOK_EVERY: Final = timedelta(seconds=1)
FEWEST_MOVES: Final = 100
# Of those that have waited; more at once would keep everything else from its turn in the loop.
RELEASED_AT_ONCE: Final = 100


class FirstMoves:
    def __init__(self) -> None:
        self._expected: set[str] = set()
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._moves = 0  # since the last look
        self._look: asyncio.TimerHandle | None = None

    def expect(self, saga_ids: Iterable[str]) -> None:
        """Begin to wait for the first moves of these sagas."""
        self._expected.update(saga_ids)
        if self._expected and self._look is None:
            self._look_later()

    @property
    def are_over(self) -> bool:
        return not self._expected

    async def over(self) -> None:
        """Return once no first move is waited for any more."""
        if self._expected:
            over: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting.append(over)
            await over

    def made(self, saga_id: str) -> None:
        """Note the first move of a saga. Safe to repeat."""
        if saga_id in self._expected:
            self._expected.discard(saga_id)
            self._moves += 1
            self._release_if_over()

    def drop(self, is_dropped: Callable[[str], bool]) -> None:
        """Wait no longer for the sagas that another node drives now."""
        self._expected = {one for one in self._expected if not is_dropped(one)}
        self._release_if_over()

    def look(self) -> None:
        """Stop waiting if too few moves were made since the last look."""
        self._look = None
        if self._moves < FEWEST_MOVES:
            self._expected.clear()
            self._release_if_over()
        elif self._expected:
            self._look_later()

    def _look_later(self) -> None:
        self._moves = 0
        loop = asyncio.get_running_loop()
        self._look = loop.call_later(LOOK_EVERY.total_seconds(), self.look)

    def _release_if_over(self) -> None:
        if self._expected:
            return
        if self._look is not None:
            self._look.cancel()
            self._look = None
        if self._waiting:
            self._release()

    def _release(self) -> None:
        for _ in range(min(RELEASED_AT_ONCE, len(self._waiting))):
            over = self._waiting.popleft()
            if not over.done():
                over.set_result(None)
        if self._waiting:
            asyncio.get_running_loop().call_soon(self._release)
