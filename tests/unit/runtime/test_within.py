from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest
from saga_orchestrator.fsm.runtime.within import Within


async def test_what_is_done_in_time_is_not_disturbed() -> None:
    with Within(timedelta()):
        pass
    await asyncio.sleep(0.001)

    assert not asyncio.current_task().cancelling()  # type: ignore[union-attr]


async def test_what_takes_too_long_is_cut_short_and_the_task_goes_on() -> None:
    with pytest.raises(TimeoutError), Within(timedelta()):
        await asyncio.Event().wait()

    await asyncio.sleep(0)


async def test_other_trouble_is_told_as_it_is() -> None:
    with pytest.raises(ValueError, match="no"), Within(timedelta()):
        raise ValueError("no")


@pytest.mark.parametrize("seconds", [60.0, 0.0])
async def test_who_is_cancelled_by_somebody_else_hears_of_no_timeout(seconds: float) -> None:
    async def work() -> None:
        with Within(timedelta(seconds=seconds)):
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


async def test_each_of_many_has_its_own_time() -> None:
    limit = Within(timedelta(milliseconds=200))
    first, second = asyncio.Event(), asyncio.Event()

    async def wait(event: asyncio.Event) -> str:
        with limit:
            await event.wait()
        return "in time"

    tasks = [asyncio.ensure_future(wait(one)) for one in (first, second)]
    await asyncio.sleep(0)
    second.set()
    late, in_time = await asyncio.gather(*tasks, return_exceptions=True)

    assert isinstance(late, TimeoutError)
    assert in_time == "in time"
