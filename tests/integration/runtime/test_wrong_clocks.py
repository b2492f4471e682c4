"""The node's clock jumps. Sagas may wait longer or shorter for it; none is lost, and what is
recorded stays in order."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from saga_orchestrator.fsm.runtime.timers import MAX_NAP
from saga_orchestrator.tests.support.in_memory_service import (
    NOON,
    InMemoryService,
    in_memory_service,
)
from saga_orchestrator.tests.support.virtual_time import await_idle, run_to_rest

HOUR = timedelta(hours=1)
NAP = """
saga: napping
version: 1
deadline: 3h
steps:
  - {name: nap, sleep: 30m}
"""
IN_A_HURRY = """
saga: in_a_hurry
version: 1
deadline: 15m
steps:
  - name: book
    participant: hotel-service
    action: {path: /book}
    compensation: {path: /unbook}
  - {name: nap, sleep: 10m}
"""
CALLS = ("create_order", "process_payment", "confirm_order")


async def an_order_through(service: InMemoryService, jumps: list[timedelta]) -> str:
    """The clock jumps while a call is out, each time."""
    for call in CALLS:
        service.participants.hold(call)
    saga_id = (await service.start("order_processing")).state.saga_id
    for call, jump in zip(CALLS, jumps, strict=True):
        await service.participants.await_call(call)
        service.clock.time += jump
        service.participants.release(call)
    return saga_id


@settings(max_examples=30, deadline=None)
@given(
    jumps=st.lists(
        st.sampled_from([-HOUR, timedelta(seconds=-1), timedelta(), timedelta(minutes=2)]),
        min_size=len(CALLS),
        max_size=len(CALLS),
    )
)
def test_time_of_a_saga_never_runs_back_however_the_clock_jumps(jumps: list[timedelta]) -> None:
    async def story() -> None:
        service = await in_memory_service()
        saga_id = await an_order_through(service, jumps)

        saga = await run_to_rest(service, saga_id)

        times = [event.recorded_at for event in service.events]
        assert times == sorted(times)
        assert saga.state.status == "completed"

    asyncio.run(story())


async def test_clock_that_steps_back_postpones_a_timer_and_does_not_lose_it() -> None:
    service = await in_memory_service(NAP)
    saga_id = (await service.start("napping")).state.saga_id
    await await_idle(service.driver)

    assert await service.advance(-HOUR) == 0
    assert await service.advance(HOUR) == 0
    assert await service.advance(timedelta(minutes=30)) == 1

    await await_idle(service.driver)
    assert (await service.await_rest(saga_id)).state.status == "completed"


async def test_saga_woken_before_the_clock_stepped_back_is_woken_again() -> None:
    service = await in_memory_service(NAP)
    saga_id = (await service.start("napping")).state.saga_id
    await await_idle(service.driver)
    await service.advance(timedelta(minutes=30))
    service.clock.advance(-HOUR)
    await await_idle(service.driver)
    assert (await service.orchestrator.saga(saga_id)).state.status == "running"

    assert (await run_to_rest(service, saga_id)).state.status == "completed"


async def test_clock_that_steps_forward_ends_a_deadline_early_and_compensates() -> None:
    service = await in_memory_service(IN_A_HURRY)
    saga_id = (await service.start("in_a_hurry")).state.saga_id
    await await_idle(service.driver)

    assert await service.advance(HOUR) == 1

    saga = await run_to_rest(service, saga_id)
    assert saga.state.status == "compensated"
    assert service.participants.paths == ["POST /book", "POST /unbook"]


async def test_timer_due_by_a_clock_jump_is_noticed_by_the_loop(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The nap of the timers is measured in real time, and short whatever the clock says."""
    service = await in_memory_service(NAP)
    saga_id = (await service.start("napping")).state.saga_id
    await await_idle(service.driver)
    monkeypatch.setattr("saga_orchestrator.fsm.runtime.timers.MAX_NAP", MAX_NAP / 100)
    running = asyncio.create_task(service.driver.timers.run())
    await asyncio.sleep(0)  # it takes its nap now

    service.clock.time = NOON + HOUR

    assert (await service.await_rest(saga_id)).state.status == "completed"
    running.cancel()
