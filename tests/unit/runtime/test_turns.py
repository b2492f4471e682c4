from __future__ import annotations

import asyncio
import random

import pytest
from saga_orchestrator.fsm.runtime.turns import Turns


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def have_one_of(turns: Turns) -> None:
    if not turns.take():
        await turns.come()


async def test_who_comes_first_has_the_first_turn() -> None:
    turns, served = Turns(1), list[int]()

    async def call(number: int) -> None:
        await have_one_of(turns)
        served.append(number)
        await asyncio.sleep(0)
        turns.leave()

    await asyncio.gather(*map(call, range(5)))

    assert served == [0, 1, 2, 3, 4]


async def test_backlog_and_usual_queue_have_every_other_turn() -> None:
    turns, served = Turns(1), list[str]()

    async def call(name: str, *, in_backlog: bool) -> None:
        if not turns.take():
            await turns.come(in_backlog=in_backlog)
        served.append(name)
        await asyncio.sleep(0)
        turns.leave()

    backlog = [call(f"b{number}", in_backlog=True) for number in range(5)]
    usual = [call(f"u{number}", in_backlog=False) for number in range(2)]
    await asyncio.gather(*backlog, *usual)

    assert served == ["b0", "u0", "b1", "u1", "b2", "b3", "b4"]


async def test_a_turn_that_is_given_back_is_not_taken_by_who_comes_later() -> None:
    turns = Turns(1)
    await have_one_of(turns)
    first = asyncio.create_task(have_one_of(turns))
    await settle()

    turns.leave()
    later = asyncio.create_task(have_one_of(turns))
    await settle()

    assert (first.done(), later.done(), turns.taken, turns.waiting) == (True, False, 1, 1)
    turns.leave()
    await later


async def test_a_call_dropped_in_the_moment_of_its_turn_passes_it_on() -> None:
    turns = Turns(1)
    await have_one_of(turns)
    dropped, next_one = (asyncio.create_task(have_one_of(turns)) for _ in range(2))
    await settle()

    turns.leave()
    dropped.cancel()
    with pytest.raises(asyncio.CancelledError):
        await dropped

    async with asyncio.timeout(1):
        await next_one
    assert (turns.taken, turns.waiting) == (1, 0)


@pytest.mark.parametrize("seed", range(5))
async def test_no_turn_is_lost_or_made_in_a_storm_of_cancellations(seed: int) -> None:
    limit, rng = 3, random.Random(seed)
    turns, most = Turns(limit), 0

    async def call() -> None:
        nonlocal most
        await have_one_of(turns)
        try:
            most = max(most, turns.taken)
            await asyncio.sleep(0)
        finally:
            turns.leave()

    calls = [asyncio.create_task(call()) for _ in range(100)]
    while not all(one.done() for one in calls):
        rng.choice(calls).cancel()
        await asyncio.sleep(0)

    assert most <= limit
    assert (turns.taken, turns.waiting) == (0, 0)
