"""A participant that does not answer is left alone; nobody's attempts are used up by that."""

from __future__ import annotations

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
from saga_orchestrator.tests.support.virtual_time import await_idle, run_to_rest, settle

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
async def service(log: TroubledLog) -> AsyncIterator[InMemoryService]:
    made = await in_memory_service(TRIP, BLINK, log=log)
    yield made
    await made.driver.drain(timedelta())


async def start(service: InMemoryService, sagas: int) -> list[str]:
    started = [(await service.start("trip")).state.saga_id for _ in range(sagas)]
    await await_idle(service.driver)
    return started


async def opened(service: InMemoryService) -> None:
    """The hotel has not answered so many sagas that it is asked no more for two seconds."""
    service.participants.will_reply("book", *[AWAY] * FAILURES_TO_OPEN)
    await start(service, FAILURES_TO_OPEN)
    assert service.driver.executor.breakers["hotel"].state is CircuitState.OPEN
    service.participants.sent.clear()


async def test_held_forward_call_keeps_its_attempt(
    service: InMemoryService, log: TroubledLog
) -> None:
    await opened(service)

    waiting = await start(service, 3)

    assert service.participants.sent == []
    for saga_id in waiting:
        step = (await service.orchestrator.saga(saga_id)).state.step("book")
        assert (step.status, step.attempts, step.next_attempt) == ("backing_off", 1, 1)
        assert step.is_uncertain is False
        assert log.types(saga_id) == ["SagaStarted", "StepBackedOff"]


async def test_compensation_passes_and_its_success_closes_the_circuit(
    service: InMemoryService,
) -> None:
    (booked,) = await start(service, 1)
    await opened(service)
    (waiting,) = await start(service, 1)

    await service.orchestrator.execute(booked, Compensate())
    await await_idle(service.driver)

    assert (await service.orchestrator.saga(booked)).state.status == "compensated"
    assert service.participants.paths[0] == "POST /unbook"
    assert (await service.orchestrator.saga(waiting)).state.status == "completed"


async def test_held_saga_is_woken_from_the_log_when_the_circuit_closes(
    service: InMemoryService,
) -> None:
    await opened(service)
    waiting = await start(service, 5)
    service.driver.active.clear()
    service.driver.timers._due.clear()

    executor = service.driver.executor
    executor.closed_circuits["hotel"] = executor.breakers["hotel"].take_held()
    executor.breakers.clear()
    service.driver.wake_held()
    await await_idle(service.driver)

    for saga_id in waiting:
        assert (await service.orchestrator.saga(saga_id)).state.status == "completed"
    assert [call.headers["saga-attempt"] for call in service.participants.sent] == ["1"] * 5


async def test_many_held_sagas_are_woken_in_batches(
    service: InMemoryService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(held_back, "SAGAS_PER_WAKE", 2)
    monkeypatch.setattr(held_back, "WAKE_PAUSE_SECONDS", 0.0)
    await opened(service)
    waiting = await start(service, 7)
    service.participants.hold("book")
    service.driver.executor.breakers.clear()

    service.driver.executor.closed_circuits["hotel"] = set(waiting)
    service.driver.wake_held()
    await settle()
    service.participants.release("book")
    await await_idle(service.driver)

    for saga_id in waiting:
        assert (await service.orchestrator.saga(saga_id)).state.status == "completed"


async def test_paused_saga_is_not_woken(service: InMemoryService) -> None:
    await opened(service)
    (waiting,) = await start(service, 1)
    await service.orchestrator.execute(waiting, Pause())
    service.driver.executor.breakers.clear()

    service.driver.executor.closed_circuits["hotel"] = {waiting}
    service.driver.wake_held()
    await await_idle(service.driver)

    assert service.participants.sent == []


async def test_all_sagas_complete_when_the_participant_recovers(service: InMemoryService) -> None:
    await opened(service)
    waiting = await start(service, 30)
    service.participants.will_reply("book", AWAY, AWAY, OK_REPLY)

    for saga_id in waiting:
        assert (await run_to_rest(service, saga_id)).state.status in ("completed", "compensated")

    assert service.driver.executor.breakers["hotel"].held == set()
    assert service.driver.executor.breakers["hotel"].state is CircuitState.CLOSED
