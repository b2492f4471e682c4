"""What a driver is at, by shard, so that one shard can be stopped while the others go on.

Work goes on by itself and may be dropped at any time, as a crash would: the log says what to do
next. A request has somebody who waits for it; it is never dropped, and ends by itself as soon as
nothing can be recorded any more. A shard is settled when nothing of it is on its way to a
participant or back.
"""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from collections.abc import Collection, Coroutine
from contextlib import suppress
from datetime import timedelta
from functools import partial
from typing import Any, TypeVar

Result = TypeVar("Result")
Task = asyncio.Task[Any]


class Tasks:
    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()  # asked for once: each time costs a system call
        self._work: defaultdict[int, set[Task]] = defaultdict(set)
        self._requests: set[Task] = set()
        self._unsettled: Counter[int] = Counter()
        self._one_ended = asyncio.Event()

    def work(
        self, shard_id: int, work: Coroutine[Any, Any, None], *, calls: bool
    ) -> asyncio.Task[None]:
        """`calls`: it sends something, and hears what is answered."""
        task = self.loop.create_task(work)
        self._work[shard_id].add(task)
        if calls:
            self._unsettled[shard_id] += 1
        task.add_done_callback(partial(self._worked, shard_id, calls))
        return task

    async def request(self, shard_id: int, request: Coroutine[Any, Any, Result]) -> Result:
        """Goes on even if whoever waits for it does not."""
        task = self.loop.create_task(request)
        self._requests.add(task)
        self._unsettled[shard_id] += 1
        task.add_done_callback(partial(self._requested, shard_id))
        return await asyncio.shield(task)

    async def settled(self, shard_ids: Collection[int]) -> list[int]:
        """Those of the shards that are settled, as soon as one of them is."""
        while True:
            settled = [one for one in shard_ids if not self._unsettled[one]]
            if settled:
                return settled
            self._one_ended.clear()
            await self._one_ended.wait()

    def drop(self, shard_id: int) -> None:
        """The work of a shard."""
        for task in self._work.pop(shard_id, ()):
            task.cancel()

    async def end(self, within: timedelta) -> None:
        """Wait for all that is under way; drop the work that takes longer."""
        with suppress(TimeoutError):
            async with asyncio.timeout(within.total_seconds()):
                while self.running:  # a start that was being recorded still sends its first call
                    await asyncio.wait(self.running)
        left = self.running
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)

    @property
    def running(self) -> set[Task]:
        return self._requests.union(*self._work.values())

    def _worked(self, shard_id: int, calls: bool, task: Task) -> None:
        if (work := self._work.get(shard_id)) is not None:
            work.discard(task)
        if calls:
            self._settle(shard_id)

    def _requested(self, shard_id: int, task: Task) -> None:
        self._requests.discard(task)
        if not task.cancelled():
            task.exception()  # if nobody waits for it any more, nobody misses it
        self._settle(shard_id)

    def _settle(self, shard_id: int) -> None:
        self._unsettled[shard_id] -= 1
        self._one_ended.set()
