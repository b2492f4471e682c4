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
    world = await in_memory_service(
        THING,
        store=past.store,
        addressed=addressed,
        participants=past.participants,
        clock=past.clock,
    )
    await world.recover(await world.unfinished())
    await await_idle(world.driver)
    return world


async def wait(world: InMemoryService, times: int) -> None:
    for _ in range(times):
        await world.advance(timedelta(seconds=10))
        await await_idle(world.driver)


@pytest.mark.parametrize("missing", ALL)
async def test_call_waits_for_its_url_and_is_sent_after_the_next_start(missing: str) -> None:
    past = Past()
    participants = past.participants
    world = await started(past, [one for one in ALL if one != missing])
    saga_id = (await world.start("thing")).state.saga_id
    await wait(world, 30)

    saga = await world.orchestrator.saga(saga_id)
    (step,) = (saga.state.step(one.name) for one, _ in saga.steps if one.participant == missing)
    assert (saga.state.status, step.status, step.next_attempt) == ("running", "backing_off", 1)
    assert step.last_error == missing_url_message(missing)
    assert not step.is_uncertain
    assert missing not in [one.participant for one in participants.sent]
    assert world.driver.sagas_awaiting_urls() == {missing: 1}
    called = [one for one in world.events if one.type == "StepCalled"]
    assert len(called) == ALL.index(missing)
    await world.driver.drain(timedelta())

    world = await started(past, ALL)
    await wait(world, 1)

    assert (await world.await_rest(saga_id)).state.status == "completed"
    assert world.driver.sagas_awaiting_urls() == {}


async def test_call_cut_off_by_a_restart_and_its_compensation_use_no_attempt() -> None:
    past = Past()
    participants = past.participants
    world = await started(past, ALL)
    participants.hold("make")
    saga_id = (await world.start("thing")).state.saga_id
    await participants.await_call("make")
    await world.driver.drain(timedelta())
    participants.release("make")

    participants.will_reply("make", *[WITHOUT] * 8)
    participants.will_reply("undo make", *[WITHOUT] * 8)
    world = await started(past, [])
    await wait(world, 8)
    assert (await world.orchestrator.saga(saga_id)).state.status == "running"
    await world.orchestrator.execute(saga_id, Cancel())
    await wait(world, 4)

    saga = await world.orchestrator.saga(saga_id)
    step = saga.state.step("make")
    assert (saga.state.status, step.status) == ("compensating", "compensation_backing_off")
    assert world.driver.sagas_awaiting_urls() == {"thing-service": 1}
    await world.driver.drain(timedelta())

    participants.script.clear()
    world = await started(past, ALL)
    await wait(world, 1)
    assert (await world.await_rest(saga_id)).state.status == "compensated"


async def test_abandoned_saga_waits_for_no_url() -> None:
    world = await started(Past(), [])
    saga_id = (await world.start("thing")).state.saga_id
    await await_idle(world.driver)
    assert world.driver.sagas_awaiting_urls() == {"thing-service": 1}
    assert "thing-service" not in world.driver.executor.breakers  # which would keep the saga

    await world.orchestrator.execute(saga_id, Cancel())

    assert (await world.await_rest(saga_id)).state.status == "compensated"
    assert world.driver.sagas_awaiting_urls() == {}
