"""Steps side by side: the answer of one comes while people deal with the trouble of another."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from saga_orchestrator.fsm.answer import Reply
from saga_orchestrator.fsm.events import Resolution
from saga_orchestrator.fsm.happening import (
    AbandonAsked,
    PauseAsked,
    ResolveAsked,
    RetryAsked,
    SignalSent,
    Verb,
)
from saga_orchestrator.tests.integration.runtime.troubled_log import TroubledLog
from saga_orchestrator.tests.integration.runtime.waiting_sagas import SIDE_BY_SIDE
from saga_orchestrator.tests.passing_time import quiet
from saga_orchestrator.tests.world import World, a_world

APPROVED = """
saga: approved
version: 1
steps:
  - {name: pay, participant: bank, action: {path: /pay}, pivot: true}
  - {name: ship, after: [pay], participant: post, action: {path: /ship}}
  - {name: mail, after: [pay], participant: office, action: {path: /mail}}
  - {name: approve, after: [ship], wait_for: {signal: hello, timeout: 24h, on_timeout: park}}
"""
NO = Reply(409, {}, b'{"detail": "no"}')
DONE_BY_HAND = ResolveAsked(step="ship", verdict=Resolution.DONE, evidence="seen at the door")


@pytest.fixture
async def world(log: TroubledLog) -> AsyncIterator[World]:
    made = await a_world(SIDE_BY_SIDE, APPROVED, log=log)
    yield made
    await made.driver.drain(timedelta())


async def refused_with_a_call_out(
    world: World, log: TroubledLog, saga_type: str = "side_by_side"
) -> str:
    """Shipping was refused, and mailing is not answered yet."""
    world.participants.will("ship", NO)
    world.participants.hold("mail")
    saga_id = (await world.start(saga_type)).state.saga_id
    await world.participants.called("mail")
    await log.recorded(saga_id, "StepRejected")
    return saga_id


async def test_both_are_called_at_once(world: World, log: TroubledLog) -> None:
    for step in ("ship", "mail"):
        world.participants.hold(step)
    saga_id = (await world.start("side_by_side")).state.saga_id
    for step in ("ship", "mail"):
        await world.participants.called(step)

    assert log.types(saga_id)[-3:] == ["StepSucceeded", "StepCalled", "StepCalled"]
    for step in ("mail", "ship"):
        world.participants.release(step)
    saga = await world.rested(saga_id)
    assert saga.state.status == "completed"


async def test_it_parks_only_when_the_other_one_is_answered(world: World, log: TroubledLog) -> None:
    saga_id = await refused_with_a_call_out(world, log)
    assert (await world.orchestrator.saga(saga_id)).state.status == "running"

    world.participants.release("mail")
    await quiet(world.driver)

    saga = await world.orchestrator.saga(saga_id)
    assert (saga.state.status, saga.status_of("mail")) == ("parked", "succeeded")
    assert saga.not_done == ("ship",)
    assert world.driver.live == {}


@pytest.mark.parametrize("verb", [RetryAsked(), DONE_BY_HAND], ids=type)
async def test_it_goes_on_from_where_it_was_parked(
    world: World, log: TroubledLog, verb: Verb
) -> None:
    saga_id = await refused_with_a_call_out(world, log)
    world.participants.release("mail")
    await quiet(world.driver)

    await world.orchestrator.ask(saga_id, verb)
    await quiet(world.driver)

    assert (await world.orchestrator.saga(saga_id)).state.status == "completed"
    assert world.participants.paths.count("POST /mail") == 1


async def test_an_answer_that_comes_after_its_saga_was_abandoned_is_only_recorded(
    world: World, log: TroubledLog, caplog: pytest.LogCaptureFixture
) -> None:
    saga_id = await refused_with_a_call_out(world, log)
    abandoned = await world.orchestrator.ask(saga_id, AbandonAsked(reason="enough"))
    assert (abandoned.state.status, world.driver.live) == ("abandoned", {})

    world.participants.release("mail")
    await quiet(world.driver)

    assert log.types(saga_id)[-2:] == ["SagaAbandoned", "LateReplyIgnored"]
    assert (await world.orchestrator.saga(saga_id)).state.status == "abandoned"
    assert caplog.records == []


async def test_verbs_and_answers_that_come_at_once_are_decided_about_one_by_one(
    world: World, log: TroubledLog, caplog: pytest.LogCaptureFixture
) -> None:
    """Each is recorded once, in some order, and none of them finds another version."""
    saga_id = await refused_with_a_call_out(world, log, "approved")
    log.slow = asyncio.Event()
    log.asked.clear()
    asking = [
        asyncio.ensure_future(world.orchestrator.ask(saga_id, one))
        for one in (PauseAsked(), SignalSent(name="hello"), SignalSent(name="hello"))
    ]
    await log.asked.wait()
    world.participants.release("mail")

    log.slow.set()
    await asyncio.gather(*asking)
    await quiet(world.driver)

    types = log.types(saga_id)
    assert [types.count(one) for one in ("SagaPaused", "SignalReceived")] == [1, 2]
    assert types.count("StepSucceeded") == 2
    assert caplog.records == []
