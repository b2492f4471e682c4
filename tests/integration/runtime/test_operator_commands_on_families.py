"""What is asked of a parent reaches its children; some verbs of a child are the parent's to ask."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from saga_orchestrator.eventstore.errors import LogOverloaded
from saga_orchestrator.fsm.call_outcome import Response
from saga_orchestrator.fsm.errors import ChildrenUnderWay, DrivenByParent
from saga_orchestrator.fsm.events import Resolution
from saga_orchestrator.fsm.inputs import (
    Abandon,
    Cancel,
    ChildPolicy,
    Compensate,
    OperatorCommand,
    Pause,
    ResolveStep,
    Resume,
    Retry,
)
from saga_orchestrator.fsm.instructions import child_id_of, needs_no_recovery
from saga_orchestrator.tests.integration.runtime.failing_log import TroubledLog
from saga_orchestrator.tests.integration.runtime.waiting_sagas import CHILD, PARENT
from saga_orchestrator.tests.support.in_memory_service import InMemoryService, in_memory_service
from saga_orchestrator.tests.support.virtual_time import await_idle, settle

UNDONE = Resolution.UNDONE
NO = Response(409, {}, b'{"detail": "no"}')
TWO_STEPS = """
saga: child
version: 1
steps:
  - {name: fly, participant: airline, action: {path: /fly}, compensation: {path: /unfly}}
  - {name: land, participant: airline, action: {path: /land}, compensation: {path: /unland}}
"""
PARKED_BESIDE = """
saga: parent
version: 1
steps:
  - {name: ask, participant: office, action: {path: /ask}, compensation: {path: /forget}}
  - {name: trip, after: [ask], saga: {type: child}}
  - {name: approve, after: [ask], wait_for: {signal: go, timeout: 1s, on_timeout: park}}
  - {name: ship, after: [trip, approve], participant: post, action: {path: /ship}, effect: none}
"""
PAST_ITS_PIVOT = """
saga: child
version: 1
steps:
  - {name: fly, participant: airline, action: {path: /fly}, pivot: true}
  - {name: land, participant: airline, action: {path: /land}}
"""
GRANDPARENT = """
saga: grandparent
version: 1
steps:
  - {name: family, saga: {type: parent, input: "${input}"}}
"""
NESTED = """
saga: parent
version: 1
steps:
  - {name: ask, participant: office, action: {path: /ask}, compensation: {path: /forget}}
  - name: trip
    when: "${input.step_data[0].depth > `0`}"
    saga: {type: parent, input: {step_data: [{depth: "${input.step_data[0].depth}"}]}}
"""
DRIVEN: list[OperatorCommand] = [
    Compensate(),
    Cancel(),
    Abandon(reason="enough"),
    Retry(),
]


@pytest.fixture
async def service(log: TroubledLog) -> AsyncIterator[InMemoryService]:
    made = await in_memory_service(TWO_STEPS, PARENT, log=log)
    yield made
    await made.driver.drain(timedelta())


async def start(service: InMemoryService) -> tuple[str, str]:
    """The ids of a parent and of its child."""
    parent_id = (await service.start("parent", step_data=[{"to": "Rome"}])).state.saga_id
    return parent_id, child_id_of(parent_id, "trip")


async def flying(service: InMemoryService) -> tuple[str, str]:
    """The first call of the child is out."""
    service.participants.hold("fly")
    family = await start(service)
    await service.participants.await_call("fly")
    return family


async def landed(service: InMemoryService) -> None:
    service.participants.release("fly")
    await await_idle(service.driver)


async def status_of(service: InMemoryService, *saga_ids: str) -> list[str]:
    return [(await service.orchestrator.saga(saga_id)).state.status for saga_id in saga_ids]


async def restarted(log: TroubledLog, *documents: str) -> InMemoryService:
    service = await in_memory_service(*documents, store=log.store)
    await service.recover()
    await await_idle(service.driver)
    return service


@pytest.mark.parametrize("asked", DRIVEN)
async def test_command_that_ends_an_active_child_is_refused(
    service: InMemoryService, asked: OperatorCommand
) -> None:
    parent_id, child_id = await flying(service)

    with pytest.raises(DrivenByParent) as refused:
        await service.orchestrator.execute(child_id, asked)
    assert refused.value.parent == parent_id
    assert {"compensate", "cancel", "abandon", "retry"}.isdisjoint(refused.value.allowed_actions)
    child = await service.orchestrator.saga(child_id)
    assert await service.orchestrator.allowed_actions(child) == ["pause", "skip"]
    await landed(service)
    assert await status_of(service, parent_id, child_id) == ["completed", "completed"]


async def test_parked_child_accepts_only_commands_that_unpark(service: InMemoryService) -> None:
    service.participants.will_reply("undo fly", *[NO] * 2)
    parent_id, child_id = await start(service)
    await await_idle(service.driver)
    await service.orchestrator.execute(parent_id, Compensate())
    await await_idle(service.driver)

    with pytest.raises(DrivenByParent):
        await service.orchestrator.execute(child_id, Abandon(reason="enough"))
    await service.orchestrator.execute(child_id, Retry())
    await await_idle(service.driver)
    assert await status_of(service, parent_id, child_id) == ["compensating", "parked"]
    undone = ResolveStep(step="fly", verdict=UNDONE, evidence="by hand")
    await service.orchestrator.execute(child_id, undone)
    await await_idle(service.driver)
    assert await status_of(service, parent_id, child_id) == ["compensated", "compensated"]


async def parked_over(log: TroubledLog, *, completed: bool) -> tuple[InMemoryService, str, str]:
    """A parent that is parked while its child is under way, or once it is completed."""
    service = await in_memory_service(TWO_STEPS, PARKED_BESIDE, log=log)
    parent_id, child_id = await flying(service)
    if completed:
        await landed(service)
    await service.advance(timedelta(seconds=1))
    await log.recorded(parent_id, "SagaParked")
    return service, parent_id, child_id


async def test_uncounted_child_of_a_parked_parent_can_be_cancelled(
    log: TroubledLog,
) -> None:
    service, parent_id, child_id = await parked_over(log, completed=False)

    await service.orchestrator.execute(child_id, Cancel())
    await landed(service)
    assert await status_of(service, parent_id, child_id) == ["parked", "compensated"]
    await service.orchestrator.execute(parent_id, Retry())
    await await_idle(service.driver)
    assert await status_of(service, parent_id) == ["compensated"]
    await service.driver.drain(timedelta())


async def test_child_that_completes_during_a_command_is_checked_again(
    log: TroubledLog,
) -> None:
    """Its end is being recorded, and will be reported; undoing it then is the parent's."""
    service = await in_memory_service(CHILD, PARKED_BESIDE, log=log)
    parent_id, child_id = await flying(service)
    await service.advance(timedelta(seconds=1))
    await log.recorded(parent_id, "SagaParked")
    log.slow = recording = asyncio.Event()
    log.asked.clear()
    service.participants.release("fly")
    await log.asked.wait()
    compensation = asyncio.ensure_future(service.orchestrator.execute(child_id, Compensate()))
    await settle()
    assert await status_of(service, child_id) == ["running"]
    recording.set()

    with pytest.raises(DrivenByParent):
        await compensation
    await await_idle(service.driver)
    assert await status_of(service, parent_id, child_id) == ["parked", "completed"]
    await service.driver.drain(timedelta())


async def test_counted_child_of_a_parked_parent_cannot_be_cancelled(log: TroubledLog) -> None:
    service, parent_id, child_id = await parked_over(log, completed=True)

    with pytest.raises(DrivenByParent):
        await service.orchestrator.execute(child_id, Compensate())
    assert await status_of(service, parent_id, child_id) == ["parked", "completed"]
    await service.driver.drain(timedelta())


async def test_pause_returns_when_it_has_reached_all_descendants() -> None:
    service = await in_memory_service(TWO_STEPS, PARENT, GRANDPARENT)
    service.participants.hold("fly")
    top_id = (await service.start("grandparent", step_data=[{"to": "Rome"}])).state.saga_id
    await service.participants.await_call("fly")
    parent_id = child_id_of(top_id, "family")

    await service.orchestrator.execute(top_id, Pause())

    for saga_id in (parent_id, child_id_of(parent_id, "trip")):
        assert (await service.orchestrator.saga(saga_id)).state.paused_by_parent
    await service.driver.drain(timedelta())


async def test_pause_cut_off_by_a_crash_reaches_the_child_after_recovery(
    service: InMemoryService, log: TroubledLog
) -> None:
    parent_id, child_id = await flying(service)
    async with service.driver.creation_lock(child_id):
        pausing = asyncio.ensure_future(service.orchestrator.execute(parent_id, Pause()))
        await log.recorded(parent_id, "SagaPaused")
        await service.driver.drain(timedelta())
        pausing.cancel()
    after = await in_memory_service(TWO_STEPS, PARENT, store=log.store)
    after.participants.hold("fly")
    await after.recover()
    await after.participants.await_call("fly")
    await landed(after)

    assert (await after.orchestrator.saga(child_id)).state.paused_by_parent
    assert "POST /land" not in after.participants.paths
    await after.orchestrator.execute(parent_id, Resume())
    await await_idle(after.driver)
    assert await status_of(after, parent_id, child_id) == ["completed", "completed"]


async def test_resume_cut_off_by_a_crash_reaches_the_child_after_recovery(
    service: InMemoryService, log: TroubledLog
) -> None:
    parent_id, child_id = await flying(service)
    await service.orchestrator.execute(parent_id, Pause())
    await landed(service)
    async with service.driver.creation_lock(child_id):
        await service.orchestrator.execute(parent_id, Resume())
        await service.driver.drain(timedelta())
    after = await restarted(log, TWO_STEPS, PARENT)

    assert await status_of(after, parent_id, child_id) == ["completed", "completed"]


async def test_child_does_not_start_under_a_paused_parent(
    service: InMemoryService, log: TroubledLog
) -> None:
    service.participants.hold("ask")
    parent_id, child_id = await start(service)
    await service.participants.await_call("ask")
    async with service.driver.creation_lock(child_id):
        service.participants.release("ask")
        await log.recorded(parent_id, "WaitStarted")
        pausing = asyncio.ensure_future(service.orchestrator.execute(parent_id, Pause()))
        await log.recorded(parent_id, "SagaPaused")
    await pausing
    await await_idle(service.driver)
    assert log.types(child_id) == []

    await service.orchestrator.execute(parent_id, Resume())
    await await_idle(service.driver)
    assert await status_of(service, parent_id, child_id) == ["completed", "completed"]


async def test_parked_child_is_not_retried_under_a_paused_parent(
    service: InMemoryService,
) -> None:
    service.participants.will_reply("undo fly", NO)
    parent_id, child_id = await start(service)
    await await_idle(service.driver)
    for asked in (Compensate(), Pause()):
        await service.orchestrator.execute(parent_id, asked)
        await await_idle(service.driver)
    assert await status_of(service, parent_id, child_id) == ["compensating", "parked"]

    for help_on in (Retry(), ResolveStep(step="fly", verdict=UNDONE, evidence="by hand")):
        with pytest.raises(DrivenByParent):
            await service.orchestrator.execute(child_id, help_on)


async def test_abandon_leaves_active_children_if_requested(service: InMemoryService) -> None:
    parent_id, child_id = await flying(service)
    with pytest.raises(ChildrenUnderWay) as refused:
        await service.orchestrator.execute(parent_id, Abandon(reason="enough"))
    assert refused.value.children == (child_id,)

    asked = Abandon(reason="enough", children=ChildPolicy.LEAVE)
    await service.orchestrator.execute(parent_id, asked)
    await landed(service)
    assert await status_of(service, parent_id, child_id) == ["abandoned", "completed"]
    await service.orchestrator.execute(child_id, Compensate())
    await await_idle(service.driver)
    assert await status_of(service, child_id) == ["compensated"]


async def test_abandon_cancels_active_children_if_requested(service: InMemoryService) -> None:
    parent_id, child_id = await flying(service)

    asked = Abandon(reason="enough", children=ChildPolicy.CANCEL)
    await service.orchestrator.execute(parent_id, asked)
    assert not needs_no_recovery(await service.orchestrator.saga(parent_id))
    await landed(service)
    assert await status_of(service, parent_id, child_id) == ["abandoned", "compensated"]
    assert needs_no_recovery(await service.orchestrator.saga(parent_id))
    assert service.participants.paths == ["POST /ask", "POST /fly", "POST /unfly"]


async def test_cancel_cut_off_by_a_crash_reaches_the_child_after_recovery(
    service: InMemoryService, log: TroubledLog
) -> None:
    parent_id, child_id = await flying(service)
    async with service.driver.creation_lock(child_id):
        asked = Abandon(reason="enough", children=ChildPolicy.CANCEL)
        await service.orchestrator.execute(parent_id, asked)
        await service.driver.drain(timedelta())
    after = await restarted(log, TWO_STEPS, PARENT)

    assert await status_of(after, parent_id, child_id) == ["abandoned", "compensated"]
    assert needs_no_recovery(await after.orchestrator.saga(parent_id))


async def test_nesting_beyond_the_limit_is_refused_with_the_reason() -> None:
    service = await in_memory_service(NESTED, nesting_limit=3)
    parent_id = (await service.start("parent", step_data=[{"depth": 1}])).state.saga_id
    await await_idle(service.driver)

    assert len(service.sagas) == 4
    assert set(await status_of(service, *service.sagas)) == {"compensated"}
    assert service.participants.paths.count("POST /ask") == 4
    error = str((await service.orchestrator.saga(parent_id)).state.error)
    assert "nested 4 levels deep, and at most 3 are allowed (SAGA_NESTING_LIMIT)" in error


@pytest.mark.parametrize(
    ("ends", "parent"),
    [
        (Cancel(), "parked"),
        (Abandon(reason="enough", children=ChildPolicy.CANCEL), "abandoned"),
    ],
)
async def test_child_past_its_pivot_goes_on_when_its_paused_parent_compensates(
    ends: OperatorCommand, parent: str
) -> None:
    service = await in_memory_service(PAST_ITS_PIVOT, PARENT)
    parent_id, child_id = await flying(service)
    await service.orchestrator.execute(parent_id, Pause())
    await landed(service)

    await service.orchestrator.execute(parent_id, ends)
    await await_idle(service.driver)
    assert await status_of(service, parent_id, child_id) == [parent, "completed"]
    await service.driver.drain(timedelta())


async def test_child_compensated_by_a_paused_parent_sends_nothing_forward_if_the_log_is_overloaded(
    service: InMemoryService, log: TroubledLog
) -> None:
    parent_id, child_id = await flying(service)
    await service.orchestrator.execute(parent_id, Pause())
    await landed(service)
    async with service.driver.creation_lock(child_id):
        await service.orchestrator.execute(parent_id, Cancel())
        log.troubles.append(LogOverloaded(1))
    await await_idle(service.driver)

    assert await status_of(service, parent_id, child_id) == ["compensated", "compensated"]
    assert "POST /land" not in service.participants.paths


async def test_child_left_by_a_paused_parent_is_paused_until_it_is_resumed(
    service: InMemoryService,
) -> None:
    parent_id, child_id = await flying(service)
    await service.orchestrator.execute(parent_id, Pause())
    await landed(service)
    asked = Abandon(reason="enough", children=ChildPolicy.LEAVE)
    await service.orchestrator.execute(parent_id, asked)
    await await_idle(service.driver)
    assert await status_of(service, parent_id, child_id) == ["abandoned", "running"]

    await service.orchestrator.execute(child_id, Resume())
    await await_idle(service.driver)
    assert await status_of(service, child_id) == ["completed"]
