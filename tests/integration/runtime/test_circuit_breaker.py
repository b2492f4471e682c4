"""A participant that does not answer is left alone; nobody's attempts are used up by that."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from saga_orchestrator.fsm.call_outcome import NotSent
from saga_orchestrator.fsm.inputs import Compensate, Pause
from saga_orchestrator.fsm.runtime.calls import circuit_breaker as held_back
from saga_orchestrator.fsm.runtime.calls.circuit_breaker import FAILURES_TO_OPEN, CircuitState
from saga_orchestrator.tests.integration.runtime.failing_log import TroubledLog
from saga_orchestrator.tests.integration.runtime.waiting_sagas import BLINK
from saga_orchestrator.tests.support.in_memory_service import (
    OK_REPLY,
    InMemoryService,
    in_memory_service,
)
from saga_orchestrator.tests.support.virtual_time import await_idle, run_to_rest

TRIP = """
saga: trip
version: 1
steps:
  - name: book
    participant: hotel
    action: {path: /book, retry: {attempts: 2, first: 1h, cap: 1h}}
    compensation: {path: /unbook, retry: {attempts: 3, first: 1h, cap: 1h}}
"""
AWAY = NotSent("refused")


@pytest.fixture
async def world(log: TroubledLog) -> AsyncIterator[InMemoryService]:
    made = await in_memory_service(TRIP, BLINK, log=log)
    yield made
    await made.driver.drain(timedelta())


async def start(world: InMemoryService, sagas: int) -> list[str]:
    started = [(await world.start("trip")).state.saga_id for _ in range(sagas)]
    await await_idle(world.driver)
    return started


async def opened(world: InMemoryService) -> None:
    """The hotel has not answered so many sagas that it is asked no more for two seconds."""
    world.participants.will_reply("book", *[AWAY] * FAILURES_TO_OPEN)
    await start(world, FAILURES_TO_OPEN)
    assert world.driver.executor.breakers["hotel"].state is CircuitState.OPEN
    world.participants.sent.clear()


async def test_held_forward_call_keeps_its_attempt(
    world: InMemoryService, log: TroubledLog
) -> None:
    await opened(world)

    held = await start(world, 3)

    assert world.participants.sent == []
    for saga_id in held:
        step = (await world.orchestrator.saga(saga_id)).state.step("book")
        assert (step.status, step.attempts, step.next_attempt) == ("backing_off", 1, 1)
        assert step.is_uncertain is False
        assert log.types(saga_id) == ["SagaStarted", "StepBackedOff"]


async def test_compensation_passes_and_its_success_closes_the_circuit(
    world: InMemoryService,
) -> None:
    (booked,) = await start(world, 1)
    await opened(world)
    (held,) = await start(world, 1)

    await world.orchestrator.execute(booked, Compensate())
    await await_idle(world.driver)

    assert (await world.orchestrator.saga(booked)).state.status == "compensated"
    assert world.participants.paths[0] == "POST /unbook"
    assert (await world.orchestrator.saga(held)).state.status == "completed"


async def test_held_saga_is_woken_from_the_log_when_the_circuit_closes(
    world: InMemoryService,
) -> None:
    await opened(world)
    held = await start(world, 5)
    world.driver.active.clear()
    world.driver.timers._due.clear()

    executor = world.driver.executor
    executor.closed_circuits["hotel"] = executor.breakers["hotel"].take_held()
    executor.breakers.clear()
    world.driver.wake_held()
    await await_idle(world.driver)

    for saga_id in held:
        assert (await world.orchestrator.saga(saga_id)).state.status == "completed"
    assert [one.headers["saga-attempt"] for one in world.participants.sent] == ["1"] * 5


async def test_many_held_sagas_are_woken_in_batches(
    world: InMemoryService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(held_back, "SAGAS_PER_WAKE", 2)
    monkeypatch.setattr(held_back, "WAKE_PAUSE_SECONDS", 0.0)
    await opened(world)
    held = await start(world, 7)
    world.participants.hold("book")
    world.driver.executor.breakers.clear()

    world.driver.executor.closed_circuits["hotel"] = set(held)
    world.driver.wake_held()
    await settle()
    world.participants.release("book")
    await await_idle(world.driver)

    for saga_id in held:
        assert (await world.orchestrator.saga(saga_id)).state.status == "completed"


async def test_paused_saga_is_not_woken(world: InMemoryService) -> None:
    await opened(world)
    (held,) = await start(world, 1)
    await world.orchestrator.execute(held, Pause())
    world.driver.executor.breakers.clear()

    world.driver.executor.closed_circuits["hotel"] = {held}
    world.driver.wake_held()
    await await_idle(world.driver)

    assert world.participants.sent == []


async def test_all_sagas_complete_when_the_participant_recovers(world: InMemoryService) -> None:
    await opened(world)
    held = await start(world, 30)
    world.participants.will_reply("book", AWAY, AWAY, OK_REPLY)

    for saga_id in held:
        assert (await run_to_rest(world, saga_id)).state.status in ("completed", "compensated")

    assert world.driver.executor.breakers["hotel"].held == set()
    assert world.driver.executor.breakers["hotel"].state is CircuitState.CLOSED


async def settle() -> None:
    """Let every task go as far as it can."""
    for _ in range(40):
        await asyncio.sleep(0)
