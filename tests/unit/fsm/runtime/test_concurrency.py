from __future__ import annotations

import asyncio
import gc
import random
import threading
import weakref
from collections.abc import Mapping
from contextlib import suppress
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from saga_orchestrator.fsm.runtime.concurrency import (
    MAX_INLINE_BYTES,
    FairSemaphore,
    ShardTasks,
    SharedTimeout,
    TimeoutQueue,
    WorkerThread,
)
from saga_orchestrator.tests.support.virtual_time import settle


async def have_one_of(turns: FairSemaphore) -> None:
    if not turns.try_acquire():
        await turns.acquire()


async def test_semaphore_is_acquired_in_order_of_arrival() -> None:
    turns, served = FairSemaphore(1), list[int]()

    async def call(number: int) -> None:
        await have_one_of(turns)
        served.append(number)
        await asyncio.sleep(0)
        turns.release()

    await asyncio.gather(*map(call, range(5)))

    assert served == [0, 1, 2, 3, 4]


async def test_backlog_and_usual_queue_alternate() -> None:
    turns, served = FairSemaphore(1), list[str]()

    async def call(name: str, *, in_backlog: bool) -> None:
        if not turns.try_acquire():
            await turns.acquire(in_backlog=in_backlog)
        served.append(name)
        await asyncio.sleep(0)
        turns.release()

    backlog = [call(f"b{number}", in_backlog=True) for number in range(5)]
    usual = [call(f"u{number}", in_backlog=False) for number in range(2)]
    await asyncio.gather(*backlog, *usual)

    assert served == ["b0", "u0", "b1", "u1", "b2", "b3", "b4"]


async def test_released_semaphore_goes_to_the_waiter_and_not_to_a_newcomer() -> None:
    turns = FairSemaphore(1)
    await have_one_of(turns)
    first = asyncio.create_task(have_one_of(turns))
    await settle()

    turns.release()
    later = asyncio.create_task(have_one_of(turns))
    await settle()

    assert (first.done(), later.done(), turns.acquired, turns.waiting) == (True, False, 1, 1)
    turns.release()
    await later


async def test_waiter_cancelled_as_it_acquires_passes_the_semaphore_on() -> None:
    turns = FairSemaphore(1)
    await have_one_of(turns)
    dropped, next_one = (asyncio.create_task(have_one_of(turns)) for _ in range(2))
    await settle()

    turns.release()
    dropped.cancel()
    with pytest.raises(asyncio.CancelledError):
        await dropped

    async with asyncio.timeout(1):
        await next_one
    assert (turns.acquired, turns.waiting) == (1, 0)


@pytest.mark.parametrize("seed", range(5))
async def test_semaphore_count_survives_a_storm_of_cancellations(seed: int) -> None:
    limit, rng = 3, random.Random(seed)
    turns, most = FairSemaphore(limit), 0

    async def call() -> None:
        nonlocal most
        await have_one_of(turns)
        try:
            most = max(most, turns.acquired)
            await asyncio.sleep(0)
        finally:
            turns.release()

    calls = [asyncio.create_task(call()) for _ in range(100)]
    while not all(call.done() for call in calls):
        rng.choice(calls).cancel()
        await asyncio.sleep(0)

    assert most <= limit
    assert (turns.acquired, turns.waiting) == (0, 0)


@pytest.mark.parametrize("in_backlog", [False, True])
async def test_cancelled_waiters_are_not_kept(
    in_backlog: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    loop, waiters = asyncio.get_running_loop(), weakref.WeakSet[asyncio.Future[Any]]()

    def create_future() -> asyncio.Future[Any]:
        future: asyncio.Future[Any] = asyncio.Future(loop=loop)
        waiters.add(future)
        return future

    monkeypatch.setattr(loop, "create_future", create_future)
    turns, most = FairSemaphore(1), 0
    for _ in range(10):
        assert turns.try_acquire()
        waiting = asyncio.create_task(turns.acquire(in_backlog=in_backlog))
        await settle()
        waiting.cancel()
        await settle()
        turns.release()
        gc.collect()
        most = max(most, len(waiters))

    assert most <= 1


SECONDS = 0.01
ENOUGH_SECONDS = 5.0


async def test_timeouts_expire_in_order_and_not_early() -> None:
    loop, rung = asyncio.get_running_loop(), list[tuple[str, float]]()
    alarm, last = TimeoutQueue(SECONDS), asyncio.Event()

    def note(who: str, since: float) -> None:
        rung.append((who, loop.time() - since))
        if who == "second":
            last.set()

    alarm.add("first", partial(note, "first", loop.time()))
    await asyncio.sleep(SECONDS / 2)
    alarm.add("second", partial(note, "second", loop.time()))
    async with asyncio.timeout(ENOUGH_SECONDS):
        await last.wait()

    assert [who for who, _ in rung] == ["first", "second"]
    assert all(after >= SECONDS for _, after in rung)


async def test_removed_timeout_does_not_expire_and_the_others_do() -> None:
    alarm, rung = TimeoutQueue(SECONDS), asyncio.Event()

    alarm.add("gone", lambda: 1 / 0)
    alarm.add("there", rung.set)
    in_time = alarm.remove("gone")
    async with asyncio.timeout(ENOUGH_SECONDS):
        await rung.wait()

    assert in_time
    assert not alarm.remove("there")


async def test_timeout_after_an_idle_time_expires() -> None:
    alarm = TimeoutQueue(SECONDS)

    async with asyncio.timeout(ENOUGH_SECONDS):
        for _ in range(2):
            rung = asyncio.Event()
            alarm.add("one", rung.set)
            await rung.wait()


async def test_block_that_ends_in_time_is_not_cancelled() -> None:
    with SharedTimeout(timedelta()):
        pass
    await asyncio.sleep(0.001)

    assert not asyncio.current_task().cancelling()  # type: ignore[union-attr]


async def test_block_that_takes_too_long_raises_and_its_task_goes_on() -> None:
    with pytest.raises(TimeoutError), SharedTimeout(timedelta()):
        await asyncio.Event().wait()

    await asyncio.sleep(0)


async def test_other_exception_passes_unchanged() -> None:
    with pytest.raises(ValueError, match="no"), SharedTimeout(timedelta()):
        raise ValueError("no")


@pytest.mark.parametrize("seconds", [60.0, 0.0])
async def test_task_cancelled_from_outside_gets_no_timeout(seconds: float) -> None:
    async def work() -> None:
        with SharedTimeout(timedelta(seconds=seconds)):
            try:
                await asyncio.Event().wait()
            finally:
                task.cancel()
                await asyncio.sleep(0)

    task = asyncio.ensure_future(work())
    await asyncio.sleep(0.001)
    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await task


async def test_each_task_has_its_own_time() -> None:
    limit = SharedTimeout(timedelta(milliseconds=200))
    first, second = asyncio.Event(), asyncio.Event()

    async def wait(event: asyncio.Event) -> str:
        with limit:
            await event.wait()
        return "in time"

    tasks = [asyncio.ensure_future(wait(block)) for block in (first, second)]
    await asyncio.sleep(0)
    second.set()
    late, in_time = await asyncio.gather(*tasks, return_exceptions=True)

    assert isinstance(late, TimeoutError)
    assert in_time == "in time"


async def test_failure_of_an_abandoned_request_is_not_reported_to_the_loop() -> None:
    complaints: list[Mapping[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, facts: complaints.append(facts))
    tasks, go_on = ShardTasks(), asyncio.Event()

    async def fail() -> None:
        await go_on.wait()
        raise ValueError("too late")

    asker = asyncio.create_task(tasks.run_to_completion(1, fail()))
    await asyncio.sleep(0)
    asker.cancel()
    with suppress(asyncio.CancelledError):
        await asker
    go_on.set()
    await tasks.wait_until_settled([1])
    gc.collect()

    assert complaints == []


LARGE = MAX_INLINE_BYTES + 1
LONGEST = 5.0  # seconds; only a failure takes them


async def test_event_loop_runs_while_a_large_document_is_processed() -> None:
    begun, released = threading.Event(), threading.Event()

    def work() -> bool:
        begun.set()
        return released.wait(LONGEST)

    working = asyncio.create_task(WorkerThread().run(LARGE, work))
    assert await asyncio.to_thread(begun.wait, LONGEST)
    released.set()  # by the loop, which would not come here if it did the work itself

    assert await working is True


async def test_documents_are_processed_one_at_a_time() -> None:
    room, at_work, most = WorkerThread(), 0, 0
    first_may_end = threading.Event()

    def work(number: int) -> int:
        nonlocal at_work, most
        at_work += 1
        most = max(most, at_work)
        if number == 0:
            first_may_end.wait(LONGEST)
        at_work -= 1
        return number

    working = [asyncio.create_task(room.run(LARGE, work, number)) for number in range(3)]
    await asyncio.sleep(0)
    first_may_end.set()

    assert await asyncio.gather(*working) == [0, 1, 2]
    assert most == 1


async def test_small_document_is_processed_in_the_loop() -> None:
    assert (
        await WorkerThread().run(MAX_INLINE_BYTES, threading.current_thread)
        is threading.main_thread()
    )


@pytest.mark.parametrize("size", [MAX_INLINE_BYTES, LARGE])
async def test_exception_of_the_function_is_raised(size: int) -> None:
    with pytest.raises(ZeroDivisionError):
        await WorkerThread().run(size, lambda: 1 / 0)
