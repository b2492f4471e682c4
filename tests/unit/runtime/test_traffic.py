from __future__ import annotations

import asyncio
import random

import pytest
from saga_orchestrator.fsm.outcome import Direction, Outcome
from saga_orchestrator.fsm.runtime.traffic import BOUNDS, Traffic


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_who_comes_first_has_the_first_turn() -> None:
    traffic, served = Traffic(1), list[int]()

    async def call(number: int) -> None:
        await traffic.enter()
        served.append(number)
        await asyncio.sleep(0)
        traffic.leave()

    await asyncio.gather(*map(call, range(5)))

    assert served == [0, 1, 2, 3, 4]


async def test_a_turn_that_is_given_back_is_not_taken_by_who_comes_later() -> None:
    traffic = Traffic(1)
    await traffic.enter()
    first = asyncio.create_task(traffic.enter())
    await settle()

    traffic.leave()
    later = asyncio.create_task(traffic.enter())
    await settle()

    assert (first.done(), later.done(), traffic.in_flight, traffic.waiting) == (True, False, 1, 1)
    traffic.leave()
    await later


async def test_a_call_dropped_in_the_moment_of_its_turn_passes_it_on() -> None:
    traffic = Traffic(1)
    await traffic.enter()
    dropped, next_one = (asyncio.create_task(traffic.enter()) for _ in range(2))
    await settle()

    traffic.leave()
    dropped.cancel()
    with pytest.raises(asyncio.CancelledError):
        await dropped

    async with asyncio.timeout(1):
        await next_one
    assert (traffic.in_flight, traffic.waiting) == (1, 0)


@pytest.mark.parametrize("seed", range(5))
async def test_no_turn_is_lost_or_made_in_a_storm_of_cancellations(seed: int) -> None:
    limit, rng = 3, random.Random(seed)
    traffic, most = Traffic(limit), 0

    async def call() -> None:
        nonlocal most
        await traffic.enter()
        try:
            most = max(most, traffic.in_flight)
            await asyncio.sleep(0)
        finally:
            traffic.leave()

    calls = [asyncio.create_task(call()) for _ in range(100)]
    while not all(one.done() for one in calls):
        rng.choice(calls).cancel()
        await asyncio.sleep(0)

    assert most <= limit
    assert (traffic.in_flight, traffic.waiting) == (0, 0)


def test_calls_are_counted_by_outcome_and_by_how_long_they_took() -> None:
    traffic = Traffic(1)

    traffic.count(Direction.ACTION, Outcome.DONE, BOUNDS[0].total_seconds())
    traffic.count(Direction.ACTION, Outcome.DONE, 60)

    assert traffic.outcomes == {(Direction.ACTION, Outcome.DONE): 2}
    assert (traffic.durations[0], traffic.durations[-1], sum(traffic.durations)) == (1, 1, 2)
    assert traffic.seconds == BOUNDS[0].total_seconds() + 60
