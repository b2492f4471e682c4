from __future__ import annotations

import asyncio

import pytest
from saga_orchestrator.eventstore import append_batch as arrivals
from saga_orchestrator.eventstore.append_batch import Append, AppendQueue, Claim
from saga_orchestrator.eventstore.errors import LogOverloaded, LogUnavailable
from saga_orchestrator.tests.support.event_builders import NOON, make_event, make_stream_id


def an_append(events: int = 1, size: int = 2) -> Append:
    done = asyncio.get_running_loop().create_future()
    return Append(make_stream_id(1), 1, 0, [make_event()] * events, size, done)


def a_claim() -> Claim:
    return Claim([1], NOON, asyncio.get_running_loop().create_future())


def filled(*waiting: Append | Claim) -> AppendQueue:
    queue = AppendQueue()
    for arrival in waiting:
        queue.put(arrival)
    return queue


async def test_waiting_appends_make_one_batch() -> None:
    appends = [an_append(2) for _ in range(64)]

    assert await filled(*appends).take() == appends


async def test_a_batch_ends_before_it_has_too_many_events() -> None:
    first, second, third = an_append(300), an_append(212), an_append(1)
    queue = filled(first, second, third)

    assert [await queue.take(), await queue.take()] == [[first, second], [third]]


async def test_a_batch_ends_before_it_has_too_many_bytes() -> None:
    first, second = an_append(size=3 * 1024 * 1024), an_append(size=2 * 1024 * 1024)
    queue = filled(first, second)

    assert [await queue.take(), await queue.take()] == [[first], [second]]


async def test_an_append_beyond_the_bounds_goes_alone() -> None:
    small, huge = an_append(), an_append(1_000)
    queue = filled(huge, small)

    assert [await queue.take(), await queue.take()] == [[huge], [small]]


async def test_a_claim_keeps_its_place_between_appends() -> None:
    before, claim, after = an_append(), a_claim(), an_append()
    queue = filled(before, claim, after)

    assert [await queue.take() for _ in range(3)] == [[before], claim, [after]]


async def test_taking_waits_for_an_arrival() -> None:
    queue = AppendQueue()
    taking = asyncio.create_task(queue.take())
    await asyncio.sleep(0)
    append = an_append()
    queue.put(append)

    assert await taking == [append]


async def test_closed_queue_hands_out_waiting_work_and_then_nothing() -> None:
    append = an_append()
    queue = filled(append)
    queue.close()

    assert [await queue.take(), await queue.take()] == [[append], None]
    with pytest.raises(LogUnavailable):
        queue.put(an_append())


async def test_too_many_bytes_turn_arrivals_away_until_they_are_taken() -> None:
    queue = filled(an_append(size=arrivals.MAX_QUEUED_BYTES))
    with pytest.raises(LogOverloaded):
        queue.put(an_append())

    await queue.take()

    queue.put(an_append())


async def test_batch_that_is_taken_makes_room_for_all_its_bytes() -> None:
    megabyte = 1024 * 1024
    queue = filled(*(an_append(size=size * megabyte) for size in (1, 1, 4)))

    await queue.take()

    queue.put(an_append(size=arrivals.MAX_QUEUED_BYTES - 4 * megabyte - 1))
    queue.put(an_append(size=1))
    with pytest.raises(LogOverloaded):
        queue.put(an_append())
