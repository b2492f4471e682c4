"""Semaphore, timeouts and task registry of the runtime, each cheaper than asyncio's on the hot
path.
"""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Collection, Coroutine, Hashable
from contextlib import suppress
from datetime import timedelta
from functools import partial
from types import TracebackType
from typing import Any, Final, ParamSpec, TypeAlias, TypeVar

WaiterQueue: TypeAlias = deque[asyncio.Future[None]]


class FairSemaphore:
    """`take`, or else await `come`; then `leave`, whatever happens.

    A free turn costs no coroutine, which on the hot path is nearly always.
    """

    __slots__ = ("_backlog", "_backlog_is_next", "_limit", "_queue", "acquired", "waiting")

    def __init__(self, limit: int) -> None:
        self.acquired, self.waiting = 0, 0
        self._limit = limit
        # Of 0.8 kB each, and rarely needed.
        self._queue: WaiterQueue | None = None
        self._backlog: WaiterQueue | None = None
        self._backlog_is_next = False

    def try_acquire(self) -> bool:
        """Take a turn; False if none is free."""
        if self.acquired == self._limit:
            return False
        self.acquired += 1
        return True

    async def acquire(self, *, in_backlog: bool = False) -> None:
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
                self.release()
            raise
        finally:
            self.waiting -= 1

    def release(self) -> None:
        """Give the turn to the next one who waits, so that nobody gets in between."""
        while queue := self._next_queue():
            turn = queue.popleft()
            if not turn.done():
                turn.set_result(None)
                return
        self.acquired -= 1

    def _next_queue(self) -> WaiterQueue | None:
        if self._backlog and (self._backlog_is_next or not self._queue):
            self._backlog_is_next = False
            return self._backlog
        self._backlog_is_next = True
        return self._queue


class TimeoutQueue:
    """For one event loop, the running one."""

    def __init__(self, seconds: float) -> None:
        self._seconds, self._loop = seconds, asyncio.get_running_loop()
        self._waiting: dict[Hashable, tuple[float, Callable[[], object]]] = {}
        self._is_armed = False

    def add(self, who: Hashable, ring: Callable[[], object]) -> None:
        assert who not in self._waiting, "whoever waits already would not be told of that any more"
        due = self._loop.time() + self._seconds
        self._waiting[who] = due, ring
        if not self._is_armed:
            self._arm(due)

    def remove(self, who: Hashable) -> bool:
        """Whether it had not rung yet."""
        return self._waiting.pop(who, None) is not None

    def _arm(self, due: float) -> None:
        self._is_armed = True
        self._loop.call_at(due, self._expire_due)

    def _expire_due(self) -> None:
        self._is_armed = False
        now = self._loop.time()
        while self._waiting:
            who, (due, ring) = next(iter(self._waiting.items()))
            if due > now:
                self._arm(due)
                return
            del self._waiting[who]
            ring()


class SharedTimeout:
    """Of the running event loop. A block raises TimeoutError if it takes longer than `limit`.

    One task is in one block at a time.
    """

    def __init__(self, limit: timedelta) -> None:
        self._loop = asyncio.get_running_loop()
        self._timeouts = TimeoutQueue(limit.total_seconds())

    def __enter__(self) -> None:
        task = self._task()
        self._timeouts.add(task, task.cancel)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        task = self._task()
        if self._timeouts.remove(task):
            return
        # Somebody else may have cancelled it as well, and wants no timeout to come of it.
        if task.uncancel() == 0 and kind is asyncio.CancelledError:
            raise TimeoutError from error

    def _task(self) -> asyncio.Task[object]:
        task: asyncio.Task[object] | None = asyncio.current_task(self._loop)
        assert task is not None, "only a task can be told that its time is over"
        return task


Result = TypeVar("Result")
Task = asyncio.Task[Any]


class ShardTasks:
    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()  # asked for once: each time costs a system call
        self._work: defaultdict[int, set[Task]] = defaultdict(set)
        self._requests: set[Task] = set()
        self._unsettled: Counter[int] = Counter()
        self._call_ended = asyncio.Event()

    def spawn(
        self, shard_id: int, work: Coroutine[Any, Any, None], *, calls: bool
    ) -> asyncio.Task[None]:
        """`calls`: it sends something, and hears what is answered."""
        task = self.loop.create_task(work)
        self._work[shard_id].add(task)
        if calls:
            self._unsettled[shard_id] += 1
        task.add_done_callback(partial(self._on_work_done, shard_id, calls))
        return task

    async def run_to_completion(
        self, shard_id: int, request: Coroutine[Any, Any, Result]
    ) -> Result:
        """Goes on even if whoever waits for it does not."""
        task = self.loop.create_task(request)
        self._requests.add(task)
        self._unsettled[shard_id] += 1
        task.add_done_callback(partial(self._on_request_done, shard_id))
        return await asyncio.shield(task)

    async def wait_until_settled(self, shard_ids: Collection[int]) -> list[int]:
        """Those of the shards that are settled, as soon as one of them is."""
        while True:
            settled = [one for one in shard_ids if not self._unsettled[one]]
            if settled:
                return settled
            self._call_ended.clear()
            await self._call_ended.wait()

    def cancel(self, shard_id: int) -> None:
        """The work of a shard."""
        for task in self._work.pop(shard_id, ()):
            task.cancel()

    async def drain(self, within: timedelta) -> None:
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

    def _on_work_done(self, shard_id: int, calls: bool, task: Task) -> None:
        if (work := self._work.get(shard_id)) is not None:
            work.discard(task)
        if calls:
            self._settle(shard_id)

    def _on_request_done(self, shard_id: int, task: Task) -> None:
        self._requests.discard(task)
        if not task.cancelled():
            task.exception()  # if nobody waits for it any more, nobody misses it
        self._settle(shard_id)

    def _settle(self, shard_id: int) -> None:
        self._unsettled[shard_id] -= 1
        self._call_ended.set()


MAX_INLINE_BYTES: Final = (
    8 * 1024
)  # bytes of a document that is worked on in the loop, in some milliseconds

Parameters = ParamSpec("Parameters")
Returned = TypeVar("Returned")


class WorkerThread:
    def __init__(self) -> None:
        self._lock = asyncio.Lock()

    async def run(
        self,
        size: int,
        function: Callable[Parameters, Returned],
        *given: Parameters.args,
        **named: Parameters.kwargs,
    ) -> Returned:
        """Return what `function` returns for a document of `size` bytes. Raises what it raises."""
        if size <= MAX_INLINE_BYTES:
            return function(*given, **named)
        async with self._lock:
            return await asyncio.to_thread(function, *given, **named)
