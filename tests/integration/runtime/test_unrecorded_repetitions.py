"""What repeats without news: few events, the same attempt, nothing lost by memory or a crash."""

from __future__ import annotations

from datetime import timedelta

import pytest
from saga_orchestrator.fsm.call_outcome import Response
from saga_orchestrator.fsm.inputs import Cancel
from saga_orchestrator.tests.integration.runtime.failing_log import TroubledLog
from saga_orchestrator.tests.support.in_memory_service import InMemoryService, in_memory_service
from saga_orchestrator.tests.support.virtual_time import (
    advance_to_next_wakeup,
    await_idle,
    run_to_rest,
)

POLLED = """
saga: polled
version: 1
steps:
  - name: print
    participant: printer
    action: {path: /print}
    compensation: {path: /shred}
    completion: poll
    completion_timeout: 10d
    status: {path: /state}
"""
LATER = Response(429, {"retry-after": "60"}, b"")
STILL = Response(200, {}, b'{"status": "in_progress"}')
SOLD_OUT = Response(409, {}, b"")


async def waited(world: InMemoryService, times: int) -> None:
    await await_idle(world.driver)
    for _ in range(times):
        assert advance_to_next_wakeup(world) == 1
        await await_idle(world.driver)


async def throttled(world: InMemoryService, times: int) -> str:
    """A saga whose payment has been turned away so often, and waits."""
    world.participants.will_reply("process_payment", *[LATER] * times)
    saga_id = (await world.start("order_processing")).state.saga_id
    await waited(world, times - 1)
    return saga_id


async def test_throttled_call_is_repeated_with_few_events_and_from_outside_memory(
    world: InMemoryService, log: TroubledLog
) -> None:
    saga_id = await throttled(world, 12)

    assert (world.driver.active, log.types(saga_id).count("StepBackedOff")) == ({}, 4)
    known = (await world.orchestrator.saga(saga_id)).state.step("process_payment")
    assert (known.repetitions, known.status) == (12, "backing_off")
    assert known.next_attempt_at is not None
    assert known.next_attempt_at > world.clock.now()
    assert (await run_to_rest(world, saga_id)).state.status == "completed"
    paid = [one for one in world.participants.sent if one.path == "/payments"]
    assert {one.headers["saga-attempt"] for one in paid} == {"1"}
    assert len({one.headers["idempotency-key"] for one in paid}) == 1
    assert world.driver.unrecorded == {}


async def test_poll_is_repeated_with_few_events() -> None:
    world = await in_memory_service(POLLED)
    world.participants.will_reply("print", Response(202, {}, b""), *[STILL] * 40)
    saga_id = (await world.start("polled")).state.saga_id

    await waited(world, 40)

    types = [one.type for one in world.events if one.stream_id == saga_id]
    assert types.count("StepAccepted") == 1 + 6
    assert len(world.participants.sent) == 41


async def test_crash_repeats_the_recorded_call_and_marks_it_uncertain(
    world: InMemoryService,
) -> None:
    saga_id = await throttled(world, 11)
    crashed = await in_memory_service(store=world.log.store)
    crashed.participants.will_reply("process_payment", SOLD_OUT)

    await crashed.recover(await world.unfinished())
    await await_idle(crashed.driver)

    first = crashed.participants.sent[0]
    assert (first.path, first.headers["saga-attempt"]) == ("/payments", "1")
    step = (await crashed.orchestrator.saga(saga_id)).state.step("process_payment")
    assert step.is_uncertain


async def test_orderly_stop_leaves_nothing_uncertain(world: InMemoryService) -> None:
    saga_id = await throttled(world, 11)
    await world.driver.drain(timedelta(seconds=5))
    following = await in_memory_service(store=world.log.store, clock=world.clock)
    await following.recover()
    await await_idle(following.driver)

    step = (await following.orchestrator.saga(saga_id)).state.step("process_payment")
    assert (step.repetitions, step.status) == (11, "backing_off")
    await following.orchestrator.execute(saga_id, Cancel())
    await await_idle(following.driver)

    assert following.participants.paths == ["POST /orders/7/compensate"]


async def test_cancel_of_an_evicted_saga_knows_its_repetitions(world: InMemoryService) -> None:
    saga_id = await throttled(world, 11)

    await world.orchestrator.execute(saga_id, Cancel())
    await await_idle(world.driver)

    cancelled = await world.orchestrator.saga(saga_id)
    assert (cancelled.state.status, cancelled.status_of("process_payment")) == (
        "compensated",
        "not_sent",
    )


@pytest.mark.parametrize("times", [1, 2, 3, 4, 5, 8, 9])
async def test_saga_ends_wherever_a_process_dies(world: InMemoryService, times: int) -> None:
    saga_id = await throttled(world, times)
    crashed = await in_memory_service(store=world.log.store, clock=world.clock)

    await crashed.recover(await world.unfinished())

    assert (await run_to_rest(crashed, saga_id)).state.status == "completed"


@pytest.mark.parametrize("times", [3, 5, 6])
async def test_orderly_stop_records_the_repetitions_of_a_compensation(
    world: InMemoryService, times: int
) -> None:
    world.participants.will_reply("process_payment", SOLD_OUT)
    world.participants.will_reply("undo create_order", *[LATER] * times)
    saga_id = (await world.start("order_processing")).state.saga_id
    await waited(world, times - 1)
    await world.driver.drain(timedelta(seconds=5))
    following = await in_memory_service(store=world.log.store, clock=world.clock)
    await following.recover()
    await await_idle(following.driver)

    step = (await following.orchestrator.saga(saga_id)).state.step("create_order")
    assert (step.repetitions, step.status) == (times, "compensation_backing_off")
