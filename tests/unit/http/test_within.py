from __future__ import annotations

import asyncio

import pytest
from saga_orchestrator.http.within import Within


async def test_what_is_done_in_time_is_not_disturbed() -> None:
    with Within(0.0):
        pass
    await asyncio.sleep(0.001)

    assert not asyncio.current_task().cancelling()  # type: ignore[union-attr]


async def test_what_takes_too_long_is_cut_short_and_the_task_goes_on() -> None:
    with pytest.raises(TimeoutError), Within(0.0):
        await asyncio.Event().wait()

    await asyncio.sleep(0)


async def test_other_trouble_is_told_as_it_is() -> None:
    with pytest.raises(ValueError, match="no"), Within(0.0):
        raise ValueError("no")


@pytest.mark.parametrize("seconds", [60.0, 0.0])
async def test_who_is_cancelled_by_somebody_else_hears_of_no_timeout(seconds: float) -> None:
    async def work() -> None:
        with Within(seconds):
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
