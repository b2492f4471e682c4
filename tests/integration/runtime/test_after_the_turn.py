"""Once a saga goes back, or somebody has asked it to, nothing is sent forward that was not yet."""

from __future__ import annotations

from datetime import timedelta

import pytest
from saga_orchestrator.fsm.happening import CancelAsked, TimePassed
from saga_orchestrator.fsm.saga import Saga
from saga_orchestrator.tests.passing_time import quiet
from saga_orchestrator.tests.world import World, a_world

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
CANCEL = CancelAsked(reason="enough")


async def a_saga_whose_call_waits_for_its_turn(last: str) -> tuple[World, Saga]:
    """The participant of `pay` is busy with the call of another saga."""
    world = await a_world(TRIP % last, limit=1)
    world.participants.hold("pay")
    await world.start("trip")
    await world.participants.called("pay")
    second = await world.start("trip")
    saga_id = second.state.saga_id
    while (await world.orchestrator.saga(saga_id)).status_of("pay") != "calling":
        await world.orchestrator.saga_from(saga_id, second.state.version + 1, timedelta(seconds=9))
    return world, second


@pytest.mark.parametrize("last", [UNDOABLE, PIVOT])
@pytest.mark.parametrize("turn", [CANCEL, TimePassed()])
async def test_a_call_that_waits_for_its_turn_is_not_sent_any_more(
    last: str, turn: CancelAsked | TimePassed
) -> None:
    world, saga = await a_saga_whose_call_waits_for_its_turn(last)
    saga_id = saga.state.saga_id

    if isinstance(turn, TimePassed):
        await world.advance(timedelta(minutes=1))
    else:
        await world.orchestrator.ask(saga_id, turn)
    world.participants.release("pay")
    await quiet(world.driver)

    turned = await world.orchestrator.saga(saga_id)
    assert (turned.state.status, turned.status_of("pay")) == ("compensated", "not_sent")
    of_it = [one.path for one in world.participants.sent if one.headers["saga-id"] == saga_id]
    assert of_it == ["/book", "/unbook"]
