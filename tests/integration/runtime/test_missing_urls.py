"""A participant whose URL is not known is called once the service is started with it."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import timedelta

import pytest
from saga_orchestrator.eventstore.memory import MemoryStore
from saga_orchestrator.fsm.call_outcome import NotSent
from saga_orchestrator.fsm.inputs import Cancel
from saga_orchestrator.fsm.runtime.calls.participant_settings import missing_url_message
from saga_orchestrator.tests.support.in_memory_service import (
    FakeClock,
    InMemoryService,
    ScriptedParticipants,
    in_memory_service,
)
from saga_orchestrator.tests.support.virtual_time import await_idle

THING = """
saga: thing
version: 1
steps:
  - name: make
    participant: thing-service
    action: {path: /make, retry: {attempts: 2, first: 1s, cap: 10s}}
    compensation: {path: /unmake, retry: {attempts: 2, first: 1s, cap: 10s}}
  - name: paint
    participant: paint-service
    action: {path: /paint}
    compensation: {path: /unpaint}
"""
ALL = ("thing-service", "paint-service")
WITHOUT = NotSent(missing_url_message("thing-service"), had_slot=False)  # as the client says


@dataclass(slots=True)
class Past:
    """What outlives a process."""

    store: MemoryStore = field(default_factory=MemoryStore)
    participants: ScriptedParticipants = field(default_factory=ScriptedParticipants)
    clock: FakeClock = field(default_factory=FakeClock)


async def started(past: Past, addressed: Collection[str]) -> InMemoryService:
    service = await in_memory_service(
        THING,
        store=past.store,
        addressed=addressed,
        participants=past.participants,
        clock=past.clock,
    )
    await service.recover(await service.unfinished())
    await await_idle(service.driver)
    return service


async def wait(service: InMemoryService, times: int) -> None:
    for _ in range(times):
        await service.advance(timedelta(seconds=10))
        await await_idle(service.driver)


@pytest.mark.parametrize("missing", ALL)
async def test_call_waits_for_its_url_and_is_sent_after_the_next_start(missing: str) -> None:
    past = Past()
    participants = past.participants
    service = await started(past, [participant for participant in ALL if participant != missing])
    saga_id = (await service.start("thing")).state.saga_id
    await wait(service, 30)

    saga = await service.orchestrator.saga(saga_id)
    (step,) = (
        saga.state.step(each_step.name)
        for each_step, _ in saga.steps
        if each_step.participant == missing
    )
    assert (saga.state.status, step.status, step.next_attempt) == ("running", "backing_off", 1)
    assert step.last_error == missing_url_message(missing)
    assert not step.is_uncertain
    assert missing not in [call.participant for call in participants.sent]
    assert service.driver.sagas_awaiting_urls() == {missing: 1}
    called = [event for event in service.events if event.type == "StepCalled"]
    assert len(called) == ALL.index(missing)
    await service.driver.drain(timedelta())

    service = await started(past, ALL)
    await wait(service, 1)

    assert (await service.await_rest(saga_id)).state.status == "completed"
    assert service.driver.sagas_awaiting_urls() == {}


async def test_call_cut_off_by_a_restart_and_its_compensation_use_no_attempt() -> None:
    past = Past()
    participants = past.participants
    service = await started(past, ALL)
    participants.hold("make")
    saga_id = (await service.start("thing")).state.saga_id
    await participants.await_call("make")
    await service.driver.drain(timedelta())
    participants.release("make")

    participants.will_reply("make", *[WITHOUT] * 8)
    participants.will_reply("undo make", *[WITHOUT] * 8)
    service = await started(past, [])
    await wait(service, 8)
    assert (await service.orchestrator.saga(saga_id)).state.status == "running"
    await service.orchestrator.execute(saga_id, Cancel())
    await wait(service, 4)

    saga = await service.orchestrator.saga(saga_id)
    step = saga.state.step("make")
    assert (saga.state.status, step.status) == ("compensating", "compensation_backing_off")
    assert service.driver.sagas_awaiting_urls() == {"thing-service": 1}
    await service.driver.drain(timedelta())

    participants.script.clear()
    service = await started(past, ALL)
    await wait(service, 1)
    assert (await service.await_rest(saga_id)).state.status == "compensated"


async def test_abandoned_saga_waits_for_no_url() -> None:
    service = await started(Past(), [])
    saga_id = (await service.start("thing")).state.saga_id
    await await_idle(service.driver)
    assert service.driver.sagas_awaiting_urls() == {"thing-service": 1}
    assert "thing-service" not in service.driver.executor.breakers  # which would keep the saga

    await service.orchestrator.execute(saga_id, Cancel())

    assert (await service.await_rest(saga_id)).state.status == "compensated"
    assert service.driver.sagas_awaiting_urls() == {}
