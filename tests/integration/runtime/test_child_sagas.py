"""Sagas that are steps of other sagas, through the shell: started, listened to, called back."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from saga_orchestrator.eventstore.errors import LogOverloaded, LogUnavailable
from saga_orchestrator.fsm.call_outcome import Response
from saga_orchestrator.fsm.formats.strict_json import Json
from saga_orchestrator.fsm.inputs import Cancel, Compensate, Retry
from saga_orchestrator.fsm.instructions import child_id_of, needs_no_recovery
from saga_orchestrator.tests.integration.runtime.failing_log import TroubledLog
from saga_orchestrator.tests.integration.runtime.waiting_sagas import CHILD, FAMILY, PARENT
from saga_orchestrator.tests.support.in_memory_service import InMemoryService, in_memory_service
from saga_orchestrator.tests.support.virtual_time import await_idle, settle

NO = Response(409, {}, b'{"detail": "no"}')
TO_ROME: Json = [{"to": "Rome"}]


@pytest.fixture
async def service(log: TroubledLog) -> AsyncIterator[InMemoryService]:
    made = await in_memory_service(CHILD, PARENT, log=log)
    yield made
    await made.driver.drain(timedelta())


async def start(service: InMemoryService, step_data: Json = TO_ROME) -> tuple[str, str]:
    """The names of a parent and of its child."""
    parent_id = (await service.start("parent", step_data=step_data)).state.saga_id
    return parent_id, child_id_of(parent_id, "trip")


async def status_of(service: InMemoryService, *saga_ids: str) -> list[str]:
    return [(await service.orchestrator.saga(saga_id)).state.status for saga_id in saga_ids]


async def test_child_is_started_and_its_outputs_are_those_of_the_step(
    service: InMemoryService, log: TroubledLog
) -> None:
    parent_id, child_id = await start(service)
    await await_idle(service.driver)

    parent = await service.orchestrator.saga(parent_id)
    assert parent.state.status == "completed"
    assert parent.outputs["trip"] == {"fly": {"order_id": 7, "payment_id": 8}}
    assert service.participants.paths == ["POST /ask", "POST /fly", "POST /ship"]
    assert service.participants.sent[1].body == b'{"to":"Rome"}'
    assert log.types(child_id)[-1] == "SagaCompleted"
    assert service.driver.active == {}


async def test_child_is_started_once_the_log_can_be_read_again(
    service: InMemoryService, log: TroubledLog
) -> None:
    log.unreadable += [LogUnavailable("every connection is busy")] * 3

    parent_id, child_id = await start(service)
    await log.recorded(parent_id, "SagaCompleted")

    assert await status_of(service, parent_id, child_id) == ["completed", "completed"]
    assert not log.unreadable


async def test_child_is_compensated_once_the_log_can_be_read_again(
    service: InMemoryService, log: TroubledLog
) -> None:
    service.participants.will_reply("ship", NO)
    parent_id, child_id = await start(service)
    await log.recorded(child_id, "SagaCompleted")
    log.unreadable += [LogUnavailable("every connection is busy")] * 3
    await log.recorded(parent_id, "SagaCompensated")

    assert await status_of(service, parent_id, child_id) == ["compensated", "compensated"]
    assert not log.unreadable


async def test_active_child_is_compensated_with_its_parent(service: InMemoryService) -> None:
    service.participants.hold("fly")
    parent_id, child_id = await start(service)
    await service.participants.await_call("fly")

    await service.orchestrator.execute(parent_id, Cancel(reason="too late"))
    await settle()
    assert await status_of(service, parent_id, child_id) == ["compensating", "compensating"]
    service.participants.release("fly")
    await await_idle(service.driver)

    assert await status_of(service, parent_id, child_id) == ["compensated", "compensated"]
    assert service.participants.paths == ["POST /ask", "POST /fly", "POST /unfly", "POST /forget"]


async def test_child_without_a_definition_is_a_rejected_step(log: TroubledLog) -> None:
    service = await in_memory_service(PARENT, log=log)
    parent_id, child_id = await start(service)
    await await_idle(service.driver)

    parent = await service.orchestrator.saga(parent_id)
    assert parent.state.status == "compensated"
    assert parent.state.error == "trip was rejected: there is no definition child"
    assert log.types(child_id) == []


async def test_child_with_invalid_input_is_not_started(log: TroubledLog) -> None:
    picky = CHILD.replace(
        "steps:", "input: {properties: {to: {enum: [Oslo]}}, required: [to]}\nsteps:", 1
    )
    service = await in_memory_service(picky, PARENT, log=log)

    parent_id, child_id = await start(service)
    await await_idle(service.driver)

    parent = await service.orchestrator.saga(parent_id)
    assert parent.state.status == "compensated"
    assert parent.state.error == 'trip was rejected: /input/to: input.to must be "Oslo"'
    assert log.types(child_id) == []


async def test_crash_before_the_start_of_the_child_starts_it_after_recovery(
    service: InMemoryService, log: TroubledLog
) -> None:
    parent_id, child_id = await start(service)
    await await_idle(service.driver)
    cut(log, parent_id, after="WaitStarted")
    del log.store.streams[child_id]  # type: ignore[arg-type]

    restarted = await in_memory_service(CHILD, PARENT, store=log.store)
    await restarted.recover()
    await await_idle(restarted.driver)

    assert await status_of(restarted, parent_id, child_id) == ["completed", "completed"]
    assert restarted.participants.paths == ["POST /fly", "POST /ship"]


async def test_crash_between_the_rest_of_the_child_and_its_report_loses_nothing(
    service: InMemoryService, log: TroubledLog
) -> None:
    parent_id, child_id = await start(service)
    await await_idle(service.driver)
    cut(log, parent_id, after="WaitStarted")

    restarted = await in_memory_service(CHILD, PARENT, store=log.store)
    await restarted.recover()
    await await_idle(restarted.driver)

    assert await status_of(restarted, parent_id, child_id) == ["completed", "completed"]
    assert restarted.participants.paths == ["POST /ship"]


async def test_crash_during_the_compensation_of_a_child_compensates_it_once(
    service: InMemoryService, log: TroubledLog
) -> None:
    parent_id, child_id = await start(service)
    await await_idle(service.driver)
    await service.orchestrator.execute(parent_id, Compensate())
    await await_idle(service.driver)
    cut(log, parent_id, after="CompensationSucceeded")
    types = log.types(child_id)

    restarted = await in_memory_service(CHILD, PARENT, store=log.store)
    await restarted.recover()
    await await_idle(restarted.driver)

    assert await status_of(restarted, parent_id) == ["compensated"]
    assert log.types(child_id) == types
    assert restarted.participants.paths == ["POST /forget"]


async def test_child_compensated_before_its_start_never_starts(
    service: InMemoryService, log: TroubledLog
) -> None:
    """The parent has been told that there is nothing to undo; starting it then would be a loss."""
    service.participants.hold("ask")
    parent_id, child_id = await start(service)
    await service.participants.await_call("ask")
    async with service.driver.creation_lock(child_id):
        service.participants.release("ask")
        await log.recorded(parent_id, "WaitStarted")
        await service.orchestrator.execute(parent_id, Cancel())
    await await_idle(service.driver)

    assert [log.types(saga_id)[-1:] for saga_id in (parent_id, child_id)] == [
        ["SagaCompensated"],
        [],
    ]
    assert service.participants.paths == ["POST /ask", "POST /forget"]


async def test_overloaded_log_does_not_lose_the_start_of_a_child(
    service: InMemoryService, log: TroubledLog
) -> None:
    service.participants.hold("ask")
    parent_id, child_id = await start(service)
    await service.participants.await_call("ask")
    service.participants.release("ask")
    await log.recorded(parent_id, "WaitStarted")
    log.troubles.extend([LogOverloaded(1000)] * 2)

    await await_idle(service.driver)

    assert log.refused == 2
    assert await status_of(service, parent_id, child_id) == ["completed", "completed"]


async def test_parked_parent_gets_the_report_of_its_child_after_a_crash(
    log: TroubledLog,
) -> None:
    """Its other branch has parked it; who unparks it must find the child heard of."""
    service = await in_memory_service(CHILD, FAMILY, log=log)
    service.participants.will_reply("ship", NO)
    service.participants.hold("fly")
    parent_id = (await service.start("family", step_data=TO_ROME)).state.saga_id
    await log.recorded(parent_id, "SagaParked")
    assert needs_no_recovery(await service.orchestrator.saga_as_of(parent_id)) is False

    restarted = await in_memory_service(CHILD, FAMILY, store=log.store)
    await restarted.recover()
    await await_idle(restarted.driver)

    parent = await restarted.orchestrator.saga(parent_id)
    assert (parent.state.status, parent.status_of("trip")) == ("parked", "succeeded")
    assert needs_no_recovery(parent) is True
    await restarted.orchestrator.execute(parent_id, Retry())
    await await_idle(restarted.driver)
    assert await status_of(restarted, parent_id) == ["completed"]
    await service.driver.drain(timedelta())


def cut(log: TroubledLog, saga_id: str, *, after: str) -> None:
    """The stream as if its process had died after the first event of that type."""
    stream = log.store.streams[saga_id]  # type: ignore[index]
    length = [event.type for event in stream].index(after) + 1
    del stream[length:]
