"""A saga that this node is driving: its newest state, and who waits for a later one."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final, TypeAlias

from ...eventstore import shard_of
from ..saga import Saga
from .turns import Turns

SHORT_WAIT: Final = timedelta(seconds=5)  # that a saga spends in memory
Condition: TypeAlias = Callable[[Saga], bool]


class Live:
    """`turn` makes decisions about one saga follow one another; `saga` is always durable."""

    __slots__ = ("_watchers", "saga", "shard_id", "turn")

    def __init__(self, saga: Saga) -> None:
        self.saga = saga
        self.shard_id = shard_of(saga.state.saga_id)
        self.turn = Turns(1)
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

    def until(self, condition: Condition, loop: asyncio.AbstractEventLoop) -> asyncio.Future[Saga]:
        """The first saga from now on that fulfils `condition`, or the last one known here."""
        watcher: asyncio.Future[Saga] = loop.create_future()
        if condition(self.saga):
            watcher.set_result(self.saga)
        else:
            self._watchers.append((condition, watcher))
        return watcher

    @property
    def is_watched(self) -> bool:
        return any(not watcher.done() for _, watcher in self._watchers)

    def is_needed(self, now: datetime, wake: datetime | None) -> bool:
        """One that rests, or that waits for long until its `wake`, costs no memory: the log has it.

        Not while it is called, or owes a callback: who answers then holds this very object.
        """
        saga = self.saga
        if saga.is_called or saga.owes_callback or self.is_watched:
            return True
        return wake is not None and wake <= now + SHORT_WAIT

    def release(self) -> None:
        """Tell those who wait that there is nothing later to wait for here."""
        for _, watcher in self._watchers:
            if not watcher.done():
                watcher.set_result(self.saga)
        self._watchers = []


def rests(saga: Saga) -> bool:
    return saga.state.status.rests
