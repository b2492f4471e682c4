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
from saga_orchestrator.tests.support.virtual_time import run_to_rest

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
        assert sum(recorded[one] for one in INTENTS) > called, "a call without its intent"
        # Slots and super() without arguments do not go together.
        return await ScriptedParticipants.send(self, call, epoch, token)


async def test_call_leaves_after_its_intent_is_in_the_log(log: TroubledLog) -> None:
    participants = Witnesses(log=log)
    world = await in_memory_service(log=log, participants=participants)
    participants.will_reply("process_payment", OOPS)
    participants.will_reply("confirm_order", NO)
    saga = await world.start("order_processing")

    await run_to_rest(world, saga.state.saga_id)

    types = log.types(saga.state.saga_id)
    assert sum(one in INTENTS for one in types) == len(participants.sent) == 6
    assert types[-1] == "SagaCompensated"


async def test_call_leaves_after_the_append_was_confirmed(
    world: InMemoryService, log: TroubledLog
) -> None:
    log.slow = asyncio.Event()
    starting = asyncio.ensure_future(world.start("order_processing"))
    await log.asked.wait()

    for _ in range(20):
        await asyncio.sleep(0)

    assert world.participants.sent == []
    log.slow.set()
    saga = await starting
    assert (await world.await_rest(saga.state.saga_id)).state.status == "completed"


async def test_sagas_do_not_wait_for_one_another(world: InMemoryService) -> None:
    world.participants.hold("create_order")
    first = await world.start("order_processing")
    await world.participants.await_call("create_order")
    gate = world.participants.held.pop("create_order")

    second = await world.await_rest((await world.start("order_processing")).state.saga_id)

    assert second.state.status == "completed"
    assert (await world.orchestrator.saga(first.state.saga_id)).state.status == "running"
    gate.set()
    assert (await world.await_rest(first.state.saga_id)).state.status == "completed"


async def test_concurrent_inputs_of_a_saga_are_handled_one_by_one(
    world: InMemoryService, log: TroubledLog
) -> None:
    world.participants.hold("process_payment")
    saga_id = (await world.start("order_processing")).state.saga_id
    await world.participants.await_call("process_payment")
    log.slow = asyncio.Event()
    log.asked.clear()

    asking = asyncio.ensure_future(world.orchestrator.execute(saga_id, Compensate()))
    await log.asked.wait()
    world.participants.release("process_payment")
    log.slow.set()
    await asking

    assert (await world.await_rest(saga_id)).state.status == "compensated"
    assert log.types(saga_id)[4:6] == ["CompensationStarted", "StepSucceeded"]


async def test_unexpected_exception_quarantines_only_its_saga(
    world: InMemoryService, caplog: pytest.LogCaptureFixture
) -> None:
    world.participants.will_reply("create_order", RuntimeError("a bug of ours"))  # type: ignore[arg-type]
    broken = await world.start("order_processing")
    sound = await world.start("order_processing")

    assert (await world.await_rest(sound.state.saga_id)).state.status == "completed"

    assert [one.message for one in caplog.records] == ["saga quarantined"]
    assert broken.state.saga_id not in world.driver.active


async def test_finished_saga_is_evicted_from_memory(world: InMemoryService) -> None:
    saga = await world.start("order_processing")
    await world.await_rest(saga.state.saga_id)

    assert world.driver.active == {}
    assert world.driver.timers._due == {}


async def test_every_commit_is_observed_once_and_in_order(world: InMemoryService) -> None:
    told: list[int] = []
    world.driver.observe = lambda saga, recorded: told.extend(one.version for one in recorded)

    saga = await world.await_rest((await world.start("order_processing")).state.saga_id)

    assert told == list(range(1, saga.state.version + 1))
