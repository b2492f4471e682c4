"""One timer for many who all wait equally long, and nearly all of them not to the end.

They are due in the order in which they came, so that the timer need only look at the first of them;
arming one for each and taking it back costs more than most of what is waited for.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Hashable


class SharedAlarm:
    """For one event loop, the running one."""

    def __init__(self, seconds: float) -> None:
        self._seconds, self._loop = seconds, asyncio.get_running_loop()
        self._waiting: dict[Hashable, tuple[float, Callable[[], object]]] = {}
        self._is_armed = False

    def set(self, who: Hashable, ring: Callable[[], object]) -> None:
        assert who not in self._waiting, "whoever waits already would not be told of that any more"
        due = self._loop.time() + self._seconds
        self._waiting[who] = due, ring
        if not self._is_armed:
            self._arm(due)

    def clear(self, who: Hashable) -> bool:
        """Whether it had not rung yet."""
        return self._waiting.pop(who, None) is not None

    def _arm(self, due: float) -> None:
        self._is_armed = True
        self._loop.call_at(due, self._ring)

    def _ring(self) -> None:
        self._is_armed = False
        now = self._loop.time()
        while self._waiting:
            who, (due, ring) = next(iter(self._waiting.items()))
            if due > now:
                self._arm(due)
                return
            del self._waiting[who]
            ring()
