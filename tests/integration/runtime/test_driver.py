"""The shell decides, appends, and only then calls."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass

import pytest
from saga_orchestrator.fsm.call_outcome import CallResult, Response
from saga_orchestrator.fsm.inputs import Compensate
from saga_orchestrator.fsm.instructions import CallParticipant
from saga_orchestrator.tests.integration.runtime.failing_log import TroubledLog
from saga_orchestrator.tests.support.in_memory_service import (
    InMemoryService,
    ScriptedParticipants,
    in_memory_service,
)
from saga_orchestrator.tests.support.virtual_time import run_to_rest, settle

NO = Response(409, {}, b'{"detail": "no"}')
OOPS = Response(500, {}, b"")
INTENTS = {"StepCalled", "CompensationCalled"}


@dataclass(slots=True)
class Witnesses(ScriptedParticipants):
    """Participants that look into the log whenever they are called."""

    log: TroubledLog | None = None

    async def send(self, call: CallParticipant, epoch: int, token: str | None) -> CallResult:
        assert self.log is not None
        recorded = Counter(self.log.types(call.saga_id))
        called = sum(sent.headers["saga-id"] == call.saga_id for sent in self.sent)
        assert sum(recorded[intent] for intent in INTENTS) > called, "a call without its intent"
        # Slots and super() without arguments do not go together.
        return await ScriptedParticipants.send(self, call, epoch, token)


async def test_call_leaves_after_its_intent_is_in_the_log(log: TroubledLog) -> None:
    participants = Witnesses(log=log)
    service = await in_memory_service(log=log, participants=participants)
    participants.will_reply("process_payment", OOPS)
    participants.will_reply("confirm_order", NO)
    saga = await service.start("order_processing")

    await run_to_rest(service, saga.state.saga_id)

    types = log.types(saga.state.saga_id)
    assert sum(event_type in INTENTS for event_type in types) == len(participants.sent) == 6
    assert types[-1] == "SagaCompensated"


async def test_call_leaves_after_the_append_was_confirmed(
    service: InMemoryService, log: TroubledLog
) -> None:
    log.slow = asyncio.Event()
    starting = asyncio.ensure_future(service.start("order_processing"))
    await log.asked.wait()

    await settle()

    assert service.participants.sent == []
    log.slow.set()
    saga = await starting
    assert (await service.await_rest(saga.state.saga_id)).state.status == "completed"


async def test_sagas_do_not_wait_for_one_another(service: InMemoryService) -> None:
    first = await service.start_held("create_order")
    gate = service.participants.gates.pop("create_order")

    second = await service.await_rest((await service.start("order_processing")).state.saga_id)

    assert second.state.status == "completed"
    assert (await service.orchestrator.saga(first.state.saga_id)).state.status == "running"
    gate.set()
    assert (await service.await_rest(first.state.saga_id)).state.status == "completed"


async def test_concurrent_inputs_of_a_saga_are_handled_one_by_one(
    service: InMemoryService, log: TroubledLog
) -> None:
    saga_id = (await service.start_held("process_payment")).state.saga_id
    log.slow = asyncio.Event()
    log.asked.clear()

    asking = asyncio.ensure_future(service.orchestrator.execute(saga_id, Compensate()))
    await log.asked.wait()
    service.participants.release("process_payment")
    log.slow.set()
    await asking

    assert (await service.await_rest(saga_id)).state.status == "compensated"
    assert log.types(saga_id)[4:6] == ["CompensationStarted", "StepSucceeded"]


async def test_unexpected_exception_quarantines_only_its_saga(
    service: InMemoryService, caplog: pytest.LogCaptureFixture
) -> None:
    service.participants.will_reply("create_order", RuntimeError("a bug of ours"))  # type: ignore[arg-type]
    broken = await service.start("order_processing")
    sound = await service.start("order_processing")

    assert (await service.await_rest(sound.state.saga_id)).state.status == "completed"

    assert [record.message for record in caplog.records] == ["saga quarantined"]
    assert broken.state.saga_id not in service.driver.active


async def test_finished_saga_is_evicted_from_memory(service: InMemoryService) -> None:
    saga = await service.start("order_processing")
    await service.await_rest(saga.state.saga_id)

    assert service.driver.active == {}
    assert service.driver.timers._due == {}


async def test_every_commit_is_observed_once_and_in_order(service: InMemoryService) -> None:
    versions: list[int] = []
    service.driver.observe = lambda saga, recorded: versions.extend(
        event.version for event in recorded
    )

    saga = await service.await_rest((await service.start("order_processing")).state.saga_id)

    assert versions == list(range(1, saga.state.version + 1))
