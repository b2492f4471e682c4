"""Once a saga goes back, or somebody has asked it to, nothing is sent forward that was not yet."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest
from saga_orchestrator.fsm.call_outcome import Response
from saga_orchestrator.fsm.inputs import Cancel, TimerFired
from saga_orchestrator.fsm.saga import Saga
from saga_orchestrator.tests.support.in_memory_service import InMemoryService, in_memory_service
from saga_orchestrator.tests.support.virtual_time import (
    advance_to_next_wakeup,
    await_idle,
    run_to_rest,
)

TRIP = """
saga: trip
version: 1
deadline: 1m
steps:
  - name: book
    participant: hotel-service
    action: {path: /book}
    compensation: {path: /unbook}
  - name: pay
    participant: bank-service
    action: {path: /pay}
    %s
"""
UNDOABLE, PIVOT = "compensation: {path: /refund}", "pivot: true"
CANCEL = Cancel(reason="enough")


async def a_saga_whose_call_waits_for_its_turn(last: str) -> tuple[InMemoryService, Saga]:
    """The participant of `pay` is busy with the call of another saga."""
    service = await in_memory_service(TRIP % last, limit=1)
    service.participants.hold("pay")
    await service.start("trip")
    await service.participants.await_call("pay")
    second = await service.start("trip")
    await is_called(service, second)
    return service, second


async def is_called(service: InMemoryService, saga: Saga) -> None:
    """Until the call of `pay` is recorded."""
    while saga.status_of("pay") != "calling":
        version = saga.state.version + 1
        saga = await service.orchestrator.saga_from(
            saga.state.saga_id, version, timedelta(seconds=9)
        )


@pytest.mark.parametrize("last", [UNDOABLE, PIVOT])
@pytest.mark.parametrize("turn", [CANCEL, TimerFired()])
async def test_call_that_waits_for_its_slot_is_not_sent_after_a_cancel(
    last: str, turn: Cancel | TimerFired
) -> None:
    service, saga = await a_saga_whose_call_waits_for_its_turn(last)
    saga_id = saga.state.saga_id

    if isinstance(turn, TimerFired):
        await service.advance(timedelta(minutes=1))
    else:
        await service.orchestrator.execute(saga_id, turn)
    service.participants.release("pay")
    await await_idle(service.driver)

    turned = await service.orchestrator.saga(saga_id)
    assert (turned.state.status, turned.status_of("pay")) == ("compensated", "not_sent")
    of_it = [call.path for call in service.participants.sent if call.headers["saga-id"] == saga_id]
    assert of_it == ["/book", "/unbook"]


async def test_further_attempt_of_an_uncertain_step_is_not_sent_after_a_cancel() -> None:
    service = await in_memory_service(TRIP % UNDOABLE, limit=1)
    service.participants.will_reply("pay", Response(500, {}, b""))
    saga = await service.start("trip")
    saga_id = saga.state.saga_id
    await await_idle(service.driver)
    service.participants.hold("pay")
    await is_called(service, await service.start("trip"))
    advance_to_next_wakeup(service)
    await is_called(service, saga)

    await service.orchestrator.execute(saga_id, CANCEL)
    service.participants.release("pay")
    await await_idle(service.driver)

    of_it = [call.path for call in service.participants.sent if call.headers["saga-id"] == saga_id]
    assert of_it == ["/book", "/pay", "/refund", "/unbook"]


async def test_call_cut_off_by_a_crash_is_not_resent_after_a_cancel() -> None:
    service = await in_memory_service()
    saga_id = (await service.start_held("process_payment")).state.saga_id
    await service.orchestrator.execute(saga_id, CANCEL)
    restarted = await in_memory_service(store=service.log.store)

    await restarted.recover()
    await await_idle(restarted.driver)

    waiting = await restarted.orchestrator.saga(saga_id)
    assert (waiting.state.status, restarted.participants.sent) == ("compensating", [])
    assert (await run_to_rest(restarted, saga_id)).state.status == "compensated"
    assert restarted.participants.paths == undone(saga_id)
    assert restarted.clock.now() == service.clock.now() + timedelta(seconds=10)


async def test_call_that_waits_to_be_resent_is_not_sent_after_a_cancel() -> None:
    """The process before may have sent it, so it is waited for all the same."""
    service = await in_memory_service()
    service.participants.hold("process_payment")
    sagas = [(await service.start("order_processing")).state.saga_id for _ in range(2)]
    while len(service.participants.sent) < 4:
        await service.participants.await_call("process_payment")
        await asyncio.sleep(0)
    restarted = await in_memory_service(store=service.log.store, limit=1)
    restarted.participants.hold("process_payment")
    await restarted.recover()
    await restarted.participants.await_call("process_payment")
    first = restarted.participants.sent[0].headers["saga-id"]
    (second,) = {*sagas} - {first}

    await restarted.orchestrator.execute(second, CANCEL)
    restarted.participants.release("process_payment")
    await await_idle(restarted.driver)

    waiting = await restarted.orchestrator.saga(second)
    assert (waiting.state.status, waiting.status_of("process_payment")) == (
        "compensating",
        "calling",
    )
    assert (await run_to_rest(restarted, second)).state.status == "compensated"
    of_it = [call for call in restarted.participants.sent if call.headers["saga-id"] == second]
    assert [f"{call.method} {call.path}" for call in of_it] == undone(second)


def undone(saga_id: str) -> list[str]:
    """The calls that undo an order whose payment is unknown."""
    return [
        f"POST /payments/{saga_id}%2Fprocess_payment%2Faction/compensate",
        "POST /orders/7/compensate",
    ]
