"""After a crash every saga makes its first move before any makes its second.

Sagas that were under way have all waited equally long. Were each of them to go on as soon as it
can, the first would be done before the last had begun. A participant that answers nobody must not
hold up the sagas of the others, so after PATIENCE everybody goes on. A saga that is begun later, or
that was here all the time, waits for none of this.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Final

PATIENCE: Final = timedelta(seconds=3)


class FirstMoves:
    def __init__(self) -> None:
        self._awaited: set[object] = set()
        self._over = asyncio.Event()
        self._over.set()

    def expect(self) -> Callable[[], None]:
        """To be called when the move is made."""
        if not self._awaited:
            self._over.clear()
            asyncio.get_running_loop().call_later(PATIENCE.total_seconds(), self._give_up)
        move = object()
        self._awaited.add(move)
        return partial(self._made, move)

    @property
    def are_over(self) -> bool:
        return self._over.is_set()

    async def over(self) -> None:
        await self._over.wait()

    def _made(self, move: object) -> None:
        self._awaited.discard(move)
        if not self._awaited:
            self._over.set()

    def _give_up(self) -> None:
        """Also on what was dropped before its turn came."""
        self._awaited.clear()
        self._over.set()
