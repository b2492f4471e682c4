"""Steps side by side: the answer of one comes while people deal with the trouble of another."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from saga_orchestrator.fsm.call_outcome import Response
from saga_orchestrator.fsm.inputs import (
    Abandon,
    Pause,
    SendSignal,
)
from saga_orchestrator.tests.integration.runtime.failing_log import TroubledLog
from saga_orchestrator.tests.integration.runtime.waiting_sagas import SIDE_BY_SIDE
from saga_orchestrator.tests.support.in_memory_service import InMemoryService, in_memory_service
from saga_orchestrator.tests.support.virtual_time import await_idle

APPROVED = """
saga: approved
version: 1
steps:
  - {name: pay, participant: bank, action: {path: /pay}, pivot: true}
  - {name: ship, after: [pay], participant: post, action: {path: /ship}}
  - {name: mail, after: [pay], participant: office, action: {path: /mail}}
  - {name: approve, after: [ship], wait_for: {signal: hello, timeout: 24h, on_timeout: park}}
"""
NO = Response(409, {}, b'{"detail": "no"}')


@pytest.fixture
async def service(log: TroubledLog) -> AsyncIterator[InMemoryService]:
    made = await in_memory_service(SIDE_BY_SIDE, APPROVED, log=log)
    yield made
    await made.driver.drain(timedelta())


async def refused_with_a_call_out(
    service: InMemoryService, log: TroubledLog, saga_type: str = "side_by_side"
) -> str:
    """Shipping was refused, and mailing is not answered yet."""
    service.participants.will_reply("ship", NO)
    service.participants.hold("mail")
    saga_id = (await service.start(saga_type)).state.saga_id
    await service.participants.await_call("mail")
    await log.recorded(saga_id, "StepRejected")
    return saga_id


async def test_result_after_an_abandon_is_only_recorded(
    service: InMemoryService, log: TroubledLog, caplog: pytest.LogCaptureFixture
) -> None:
    saga_id = await refused_with_a_call_out(service, log)
    abandoned = await service.orchestrator.execute(saga_id, Abandon(reason="enough"))
    assert (abandoned.state.status, service.driver.active) == ("abandoned", {})

    service.participants.release("mail")
    await await_idle(service.driver)

    assert log.types(saga_id)[-2:] == ["SagaAbandoned", "LateReplyIgnored"]
    assert (await service.orchestrator.saga(saga_id)).state.status == "abandoned"
    assert caplog.records == []


async def test_concurrent_commands_and_results_are_handled_one_by_one(
    service: InMemoryService, log: TroubledLog, caplog: pytest.LogCaptureFixture
) -> None:
    """Each is recorded once, in some order, and none of them finds another version."""
    saga_id = await refused_with_a_call_out(service, log, "approved")
    log.slow = asyncio.Event()
    log.asked.clear()
    asking = [
        asyncio.ensure_future(service.orchestrator.execute(saga_id, command))
        for command in (Pause(), SendSignal(name="hello"), SendSignal(name="hello"))
    ]
    await log.asked.wait()
    service.participants.release("mail")

    log.slow.set()
    await asyncio.gather(*asking)
    await await_idle(service.driver)

    types = log.types(saga_id)
    assert [types.count(event_type) for event_type in ("SagaPaused", "SignalReceived")] == [1, 2]
    assert types.count("StepSucceeded") == 2
    assert caplog.records == []
