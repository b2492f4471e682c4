"""Concurrency of the runtime: a fair semaphore, shared timeouts, tasks by shard, a worker thread.

What asyncio offers for the first two is right and costs more than most of what they guard; the
figures are beside each class.
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
    """FIFO semaphore with two queues: `try_acquire()`, else `await acquire()`; always `release()`.

    After a crash thousands of calls may be repeated; they wait in the backlog. Waiters of the
    backlog and of the usual queue alternate, so that neither a new saga waits for the end of the
    backlog nor the backlog for the end of new sagas.

    An uncontended acquisition costs no coroutine: 0.9 µs a saga less than asyncio.Semaphore.
    """

    __slots__ = ("_backlog", "_backlog_is_next", "_limit", "_queue", "acquired", "waiting")

    def __init__(self, limit: int) -> None:
        self.acquired, self.waiting = 0, 0
        self._limit = limit
        # Made when needed, which is rare: each takes 0.8 kB, and every saga in memory has a lock.
        self._queue: WaiterQueue | None = None
        self._backlog: WaiterQueue | None = None
        self._backlog_is_next = False

    def try_acquire(self) -> bool:
        """Acquire the semaphore if it is free; return whether it was."""
        if self.acquired == self._limit:
            return False
        self.acquired += 1
        return True

    async def acquire(self, *, in_backlog: bool = False) -> None:
        """Wait until the semaphore is acquired."""
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if in_backlog:
            if self._backlog is None:
                self._backlog = deque()
            self._backlog.append(waiter)
        else:
            if self._queue is None:
                self._queue = deque()
            self._queue.append(waiter)
        self.waiting += 1
        try:
            await waiter
        except asyncio.CancelledError:
            # The semaphore may have been handed over in the moment of the cancellation.
            if not waiter.cancelled():
                self.release()
            raise
        finally:
            self.waiting -= 1
            if not self.waiting:
                # What is left in the queues is cancelled. Dropped here, it costs no release.
                self._queue = self._backlog = None

    def release(self) -> None:
        """Hand the semaphore to the next waiter directly, so that no other task gets in between."""
        if not self.waiting:
            self.acquired -= 1
            return
        while queue := self._next_queue():
            waiter = queue.popleft()
            if not waiter.done():
                waiter.set_result(None)
                return
        self.acquired -= 1

    def _next_queue(self) -> WaiterQueue | None:
        if self._backlog and (self._backlog_is_next or not self._queue):
            self._backlog_is_next = False
            return self._backlog
        self._backlog_is_next = True
        return self._queue


class TimeoutQueue:
    """One timer of the running event loop for many timeouts of equal length.

    They expire in the order in which they began, so the timer follows the first of them only.
    Nearly all end early: arming and cancelling a timer of the loop for each costs 4 to 5 µs a saga
    more (1.4 %).
    """

    def __init__(self, seconds: float) -> None:
        self._seconds, self._loop = seconds, asyncio.get_running_loop()
        self._waits: dict[Hashable, tuple[float, Callable[[], object]]] = {}
        self._is_armed = False

    def add(self, waiter: Hashable, on_timeout: Callable[[], object]) -> None:
        """Call `on_timeout` after the time, unless `waiter` is removed before."""
        assert waiter not in self._waits, "a waiter has one timeout at a time"
        due = self._loop.time() + self._seconds
        self._waits[waiter] = due, on_timeout
        if not self._is_armed:
            self._arm(due)

    def remove(self, waiter: Hashable) -> bool:
        """Cancel the timeout of `waiter`; return False if it has expired already."""
        return self._waits.pop(waiter, None) is not None

    def _arm(self, due: float) -> None:
        self._is_armed = True
        self._loop.call_at(due, self._expire_due)

    def _expire_due(self) -> None:
        self._is_armed = False
        now = self._loop.time()
        while self._waits:
            waiter, (due, on_timeout) = next(iter(self._waits.items()))
            if due > now:
                self._arm(due)
                return
            del self._waits[waiter]
            on_timeout()


class SharedTimeout:
    """`asyncio.timeout` for many tasks with one shared duration.

    Its block raises TimeoutError if it takes longer than `limit`. A task is in one block at a time.
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
        # A task that something else has cancelled too stays cancelled.
        if task.uncancel() == 0 and kind is asyncio.CancelledError:
            raise TimeoutError from error

    def _task(self) -> asyncio.Task[object]:
        task: asyncio.Task[object] | None = asyncio.current_task(self._loop)
        assert task is not None, "only a task can be timed out"
        return task


Result = TypeVar("Result")
Task = asyncio.Task[Any]


NO_SHARD: Final = -1  # for tasks that concern sagas of many shards


class ShardTasks:
    """The tasks of a driver, by shard, so that one shard can be stopped while the others go on.

    Work may be cancelled at any time, as a crash would: the log says what to do next. A request has
    a caller that waits for it; it is never cancelled, and fails by itself as soon as nothing can be
    recorded any more. A shard is settled when none of its calls is in flight.
    """

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self._work: defaultdict[int, set[Task]] = defaultdict(set)
        self._requests: set[Task] = set()
        self._unsettled: Counter[int] = Counter()
        self._call_ended = asyncio.Event()

    def spawn(
        self, shard_id: int, work: Coroutine[Any, Any, None], *, calls: bool
    ) -> asyncio.Task[None]:
        """Start `work`. With `calls` the shard is not settled before it ends."""
        task = self.loop.create_task(work)
        self._work[shard_id].add(task)
        if calls:
            self._unsettled[shard_id] += 1
        task.add_done_callback(partial(self._on_work_done, shard_id, calls))
        return task

    async def run_to_completion(
        self, shard_id: int, request: Coroutine[Any, Any, Result]
    ) -> Result:
        """Run `request` to completion, even if the caller is cancelled."""
        task = self.loop.create_task(request)
        self._requests.add(task)
        self._unsettled[shard_id] += 1
        task.add_done_callback(partial(self._on_request_done, shard_id))
        return await asyncio.shield(task)

    async def wait_until_settled(self, shard_ids: Collection[int]) -> list[int]:
        """Wait until one of the shards is settled; return all that are."""
        while True:
            settled = [shard_id for shard_id in shard_ids if not self._unsettled[shard_id]]
            if settled:
                return settled
            self._call_ended.clear()
            await self._call_ended.wait()

    def cancel(self, shard_id: int) -> None:
        """Cancel the work of a shard."""
        for task in self._work.pop(shard_id, ()):
            task.cancel()

    async def drain(self, within: timedelta) -> None:
        """Wait until all tasks are done, and cancel those that take longer than `within`."""
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
        """All tasks that are not done."""
        return self._requests.union(*self._work.values())

    def _on_work_done(self, shard_id: int, calls: bool, task: Task) -> None:
        if (work := self._work.get(shard_id)) is not None:
            work.discard(task)
        if calls:
            self._settle(shard_id)

    def _on_request_done(self, shard_id: int, task: Task) -> None:
        self._requests.discard(task)
        if not task.cancelled():
            task.exception()  # retrieved here: the caller may have gone
        self._settle(shard_id)

    def _settle(self, shard_id: int) -> None:
        self._unsettled[shard_id] -= 1
        self._call_ended.set()


MAX_INLINE_BYTES: Final = (
    8 * 1024
)  # a document of this size takes some milliseconds, and runs in the loop

Parameters = ParamSpec("Parameters")
Returned = TypeVar("Returned")


class WorkerThread:
    """Runs functions of documents, of large ones in a thread beside the event loop.

    Parsing and verifying a definition of 200 KB takes more than half a second. One document is
    worked on at a time, which leaves half the processor to sagas, however many documents arrive.
    """

    def __init__(self) -> None:
        self._lock = asyncio.Lock()

    async def run(
        self,
        size: int,
        function: Callable[Parameters, Returned],
        *args: Parameters.args,
        **kwargs: Parameters.kwargs,
    ) -> Returned:
        """Return what `function` returns for a document of `size` bytes. Raises what it raises."""
        if size <= MAX_INLINE_BYTES:
            return function(*args, **kwargs)
        async with self._lock:
            return await asyncio.to_thread(function, *args, **kwargs)
