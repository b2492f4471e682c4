"""The shell decides, appends, and only then calls."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

import pytest
from saga_orchestrator.fsm.answer import Answer, Reply
from saga_orchestrator.fsm.happening import CompensationAsked
from saga_orchestrator.fsm.runtime.errors import NotServing
from saga_orchestrator.tests.integration.runtime.troubled_log import TroubledLog
from saga_orchestrator.tests.passing_time import at_rest
from saga_orchestrator.tests.world import ENOUGH, ScriptedParticipants, World, a_world

NO = Reply(409, {}, b'{"detail": "no"}')
OOPS = Reply(500, {}, b"")
INTENTS = {"StepCalled", "CompensationCalled"}


@dataclass(slots=True)
class Witnesses(ScriptedParticipants):
    """Participants that look into the log whenever they are called."""

    log: TroubledLog | None = None

    async def send(
        self,
        participant: str,
        method: str,
        path: str,
        headers: Mapping[str, str],
        body: bytes | None,
        within: timedelta,
    ) -> Answer:
        assert self.log is not None
        recorded = Counter(self.log.types(headers["saga-id"]))
        called = sum(one.headers["saga-id"] == headers["saga-id"] for one in self.sent)
        assert sum(recorded[one] for one in INTENTS) > called, "a call without its intent"
        # Slots and super() without arguments do not go together.
        return await ScriptedParticipants.send(
            self, participant, method, path, headers, body, within
        )


async def test_every_call_finds_its_intent_in_the_log(log: TroubledLog) -> None:
    participants = Witnesses(log=log)
    world = await a_world(log=log, participants=participants)
    participants.will("process_payment", OOPS)
    participants.will("confirm_order", NO)
    saga = await world.start("order_processing")

    await at_rest(world, saga.state.saga_id)

    types = log.types(saga.state.saga_id)
    assert sum(one in INTENTS for one in types) == len(participants.sent) == 6
    assert types[-1] == "SagaCompensated"


async def test_nothing_leaves_before_the_append_is_told_to_have_landed(
    world: World, log: TroubledLog
) -> None:
    log.slow = asyncio.Event()
    starting = asyncio.ensure_future(world.start("order_processing"))
    await log.asked.wait()

    for _ in range(20):
        await asyncio.sleep(0)

    assert world.participants.sent == []
    log.slow.set()
    saga = await starting
    assert (await world.rested(saga.state.saga_id)).state.status == "completed"


async def test_answer_and_next_intent_are_one_append(world: World, log: TroubledLog) -> None:
    saga = await world.start("order_processing")
    await world.rested(saga.state.saga_id)

    assert log.types(saga.state.saga_id) == [
        "SagaStarted",
        "StepCalled",
        *["StepSucceeded", "StepCalled"] * 2,
        "StepSucceeded",
        "SagaCompleted",
    ]


async def test_a_step_that_is_called_again_says_its_attempt_and_keeps_its_key(
    world: World,
) -> None:
    world.participants.will("create_order", OOPS, OOPS)
    saga = await world.start("order_processing")

    await at_rest(world, saga.state.saga_id)

    calls = [one for one in world.participants.sent if one.path == "/orders"]
    assert [one.headers["saga-attempt"] for one in calls] == ["1", "2", "3"]
    assert {one.headers["idempotency-key"] for one in calls} == {
        f"{saga.state.saga_id}/create_order/action"
    }


async def test_sagas_do_not_wait_for_one_another(world: World) -> None:
    world.participants.hold("create_order")
    first = await world.start("order_processing")
    await world.participants.called("create_order")
    gate = world.participants.held.pop("create_order")

    second = await world.rested((await world.start("order_processing")).state.saga_id)

    assert second.state.status == "completed"
    assert (await world.orchestrator.saga(first.state.saga_id)).state.status == "running"
    gate.set()
    assert (await world.rested(first.state.saga_id)).state.status == "completed"


async def test_what_happens_at_once_is_decided_about_one_by_one(
    world: World, log: TroubledLog
) -> None:
    world.participants.hold("process_payment")
    saga_id = (await world.start("order_processing")).state.saga_id
    await world.participants.called("process_payment")
    log.slow = asyncio.Event()
    log.asked.clear()

    asking = asyncio.ensure_future(world.orchestrator.ask(saga_id, CompensationAsked()))
    await log.asked.wait()
    world.participants.release("process_payment")
    log.slow.set()
    await asking

    assert (await world.rested(saga_id)).state.status == "compensated"
    assert log.types(saga_id)[4:6] == ["CompensationStarted", "StepSucceeded"]


async def test_a_participant_that_raises_takes_only_its_saga_down(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    world.participants.will("create_order", RuntimeError("a bug of ours"))  # type: ignore[arg-type]
    broken = await world.start("order_processing")
    sound = await world.start("order_processing")

    assert (await world.rested(sound.state.saga_id)).state.status == "completed"

    assert [one.message for one in caplog.records] == ["saga quarantined"]
    assert broken.state.saga_id not in world.driver.live


async def test_at_most_the_limit_is_with_one_participant() -> None:
    world = await a_world(limit=2)
    world.participants.hold("create_order")
    sagas = [await world.start("order_processing") for _ in range(5)]
    await world.participants.called("create_order")
    for _ in range(20):
        await asyncio.sleep(0)

    assert len(world.participants.sent) == 2
    world.participants.release("create_order")
    for saga in sagas:
        assert (await world.rested(saga.state.saga_id)).state.status == "completed"


async def test_a_saga_is_turned_round_while_its_call_is_under_way(world: World) -> None:
    world.participants.hold("process_payment")
    saga = await world.start("order_processing")
    await world.participants.called("process_payment")

    turned = await world.orchestrator.ask(saga.state.saga_id, CompensationAsked(reason="x"))

    assert turned.state.status == "compensating"
    assert "undo" not in "".join(world.participants.paths)
    world.participants.release("process_payment")
    assert (await world.rested(saga.state.saga_id)).state.status == "compensated"
    assert world.participants.paths[-2:] == [
        "POST /payments/8/compensate",
        "POST /orders/7/compensate",
    ]


async def test_a_finished_saga_is_not_kept_in_memory(world: World) -> None:
    saga = await world.start("order_processing")
    await world.rested(saga.state.saga_id)

    assert world.driver.live == {}
    assert world.driver.timers._due == {}


async def test_every_commit_is_told_once_and_in_order(world: World) -> None:
    told: list[int] = []
    world.driver.observe = lambda saga, recorded: told.extend(one.version for one in recorded)

    saga = await world.rested((await world.start("order_processing")).state.saga_id)

    assert told == list(range(1, saga.state.version + 1))


async def test_a_start_while_stopping_is_refused_and_leaves_nothing(
    world: World, log: TroubledLog
) -> None:
    world.driver.begin_stop()

    with pytest.raises(NotServing, match="the service is stopping"):
        await asyncio.wait_for(world.start("order_processing"), ENOUGH.total_seconds())

    assert world.events == []
