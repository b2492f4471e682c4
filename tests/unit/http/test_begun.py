from __future__ import annotations

import asyncio

import pytest
from saga_orchestrator.http.begun import Begun


async def test_what_needs_no_waiting_is_there_at_once() -> None:
    async def read() -> str:
        return "all of it"

    reading = Begun(read())

    assert reading.is_done
    assert await reading == "all of it"


async def test_what_waits_goes_on_where_it_was() -> None:
    arrived = [asyncio.Event(), asyncio.Event()]

    async def read() -> int:
        for event in arrived:
            await event.wait()
        return len(arrived)

    reading = Begun(read())
    for event in arrived:
        asyncio.get_running_loop().call_soon(event.set)

    assert not reading.is_done
    assert await reading == 2


async def test_trouble_is_told_when_it_comes() -> None:
    gate = asyncio.Event()

    async def fail(wait: bool) -> None:
        if wait:
            await gate.wait()
        raise ValueError("cut short")

    with pytest.raises(ValueError, match="cut short"):
        Begun(fail(wait=False))
    late = Begun(fail(wait=True))
    gate.set()
    with pytest.raises(ValueError, match="cut short"):
        await late


async def test_a_timeout_reaches_the_coroutine_that_waits() -> None:
    ended = []

    async def read() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("closed")

    reading = Begun(read())
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0):
            await reading

    assert ended == ["closed"]


async def test_a_coroutine_may_go_on_after_it_was_interrupted() -> None:
    async def read() -> str:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            await asyncio.sleep(0)
            return "what there was"
        return "never"

    reading = Begun(read())
    task = asyncio.ensure_future(_awaiting(reading))
    await asyncio.sleep(0)
    task.cancel()

    assert await task == "what there was"


async def _awaiting(reading: Begun[str]) -> str:
    return await reading
