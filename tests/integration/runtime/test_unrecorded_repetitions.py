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


async def waited(service: InMemoryService, times: int) -> None:
    await await_idle(service.driver)
    for _ in range(times):
        assert advance_to_next_wakeup(service) == 1
        await await_idle(service.driver)


async def throttled(service: InMemoryService, times: int) -> str:
    """A saga whose payment has been turned away so often, and waits."""
    service.participants.will_reply("process_payment", *[LATER] * times)
    saga_id = (await service.start("order_processing")).state.saga_id
    await waited(service, times - 1)
    return saga_id


async def test_throttled_call_is_repeated_with_few_events_and_from_outside_memory(
    service: InMemoryService, log: TroubledLog
) -> None:
    saga_id = await throttled(service, 12)

    assert (service.driver.active, log.types(saga_id).count("StepBackedOff")) == ({}, 4)
    known = (await service.orchestrator.saga(saga_id)).state.step("process_payment")
    assert (known.repetitions, known.status) == (12, "backing_off")
    assert known.next_attempt_at is not None
    assert known.next_attempt_at > service.clock.now()
    assert (await run_to_rest(service, saga_id)).state.status == "completed"
    paid = [call for call in service.participants.sent if call.path == "/payments"]
    assert {call.headers["saga-attempt"] for call in paid} == {"1"}
    assert len({call.headers["idempotency-key"] for call in paid}) == 1
    assert service.driver.unrecorded == {}


async def test_poll_is_repeated_with_few_events() -> None:
    service = await in_memory_service(POLLED)
    service.participants.will_reply("print", Response(202, {}, b""), *[STILL] * 40)
    saga_id = (await service.start("polled")).state.saga_id

    await waited(service, 40)

    types = [event.type for event in service.events if event.stream_id == saga_id]
    assert types.count("StepAccepted") == 1 + 6
    assert len(service.participants.sent) == 41


async def test_crash_repeats_the_recorded_call_and_marks_it_uncertain(
    service: InMemoryService,
) -> None:
    saga_id = await throttled(service, 11)
    crashed = await in_memory_service(store=service.log.store)
    crashed.participants.will_reply("process_payment", SOLD_OUT)

    await crashed.recover(await service.unfinished())
    await await_idle(crashed.driver)

    first = crashed.participants.sent[0]
    assert (first.path, first.headers["saga-attempt"]) == ("/payments", "1")
    step = (await crashed.orchestrator.saga(saga_id)).state.step("process_payment")
    assert step.is_uncertain


async def test_orderly_stop_leaves_nothing_uncertain(service: InMemoryService) -> None:
    saga_id = await throttled(service, 11)
    await service.driver.drain(timedelta(seconds=5))
    following = await in_memory_service(store=service.log.store, clock=service.clock)
    await following.recover()
    await await_idle(following.driver)

    step = (await following.orchestrator.saga(saga_id)).state.step("process_payment")
    assert (step.repetitions, step.status) == (11, "backing_off")
    await following.orchestrator.execute(saga_id, Cancel())
    await await_idle(following.driver)

    assert following.participants.paths == ["POST /orders/7/compensate"]


async def test_cancel_of_an_evicted_saga_knows_its_repetitions(service: InMemoryService) -> None:
    saga_id = await throttled(service, 11)

    await service.orchestrator.execute(saga_id, Cancel())
    await await_idle(service.driver)

    cancelled = await service.orchestrator.saga(saga_id)
    assert (cancelled.state.status, cancelled.status_of("process_payment")) == (
        "compensated",
        "not_sent",
    )


@pytest.mark.parametrize("times", [1, 2, 3, 4, 5, 8, 9])
async def test_saga_ends_wherever_a_process_dies(service: InMemoryService, times: int) -> None:
    saga_id = await throttled(service, times)
    crashed = await in_memory_service(store=service.log.store, clock=service.clock)

    await crashed.recover(await service.unfinished())

    assert (await run_to_rest(crashed, saga_id)).state.status == "completed"


@pytest.mark.parametrize("times", [3, 5, 6])
async def test_orderly_stop_records_the_repetitions_of_a_compensation(
    service: InMemoryService, times: int
) -> None:
    service.participants.will_reply("process_payment", SOLD_OUT)
    service.participants.will_reply("undo create_order", *[LATER] * times)
    saga_id = (await service.start("order_processing")).state.saga_id
    await waited(service, times - 1)
    await service.driver.drain(timedelta(seconds=5))
    following = await in_memory_service(store=service.log.store, clock=service.clock)
    await following.recover()
    await await_idle(following.driver)

    step = (await following.orchestrator.saga(saga_id)).state.step("create_order")
    assert (step.repetitions, step.status) == (times, "compensation_backing_off")
