"""A saga that this node is driving: its newest state, and who waits for a later one."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeAlias

from ..saga import Saga

Condition: TypeAlias = Callable[[Saga], bool]


class Live:
    """`turn` makes decisions about one saga follow one another; `saga` is always durable."""

    __slots__ = ("_watchers", "saga", "turn")

    def __init__(self, saga: Saga) -> None:
        self.saga = saga
        self.turn = asyncio.Lock()
        self._watchers: list[tuple[Condition, asyncio.Future[Saga]]] = []

    def move_to(self, saga: Saga) -> None:
        self.saga = saga
        if not self._watchers:
            return
        waiting = []
        for condition, watcher in self._watchers:
            if watcher.done():
                continue
            if condition(saga):
                watcher.set_result(saga)
            else:
                waiting.append((condition, watcher))
        self._watchers = waiting

    def until(self, condition: Condition) -> asyncio.Future[Saga]:
        """The first saga from now on that fulfils `condition`."""
        watcher: asyncio.Future[Saga] = asyncio.get_running_loop().create_future()
        if condition(self.saga):
            watcher.set_result(self.saga)
        else:
            self._watchers.append((condition, watcher))
        return watcher

    def give_up(self, error: Exception) -> None:
        """Tell those who wait that this node drives the saga no longer."""
        for _, watcher in self._watchers:
            if not watcher.done():
                watcher.set_exception(error)
        self._watchers = []


def rests(saga: Saga) -> bool:
    return saga.state.status.rests
