"""What the driver does when the log refuses, and with histories that are broken."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import timedelta

import pytest
from saga_orchestrator.eventstore.errors import (
    Fenced,
    LogOverloaded,
    LogUnavailable,
    WrongExpectedVersion,
)
from saga_orchestrator.eventstore.event import (
    SHARD_COUNT,
    NewEvent,
    RecordedEvent,
    StreamId,
    shard_of,
)
from saga_orchestrator.eventstore.memory import InMemoryLog
from saga_orchestrator.fsm.errors import CorruptStream
from saga_orchestrator.fsm.inputs import Compensate, Pause
from saga_orchestrator.fsm.runtime.concurrency import SharedTimeout
from saga_orchestrator.fsm.runtime.errors import OutcomeUnknown, Overloaded, Unavailable
from saga_orchestrator.tests.integration.runtime.failing_log import TroubledLog
from saga_orchestrator.tests.support.in_memory_service import (
    NOON,
    TIME_LIMIT,
    InMemoryService,
    in_memory_service,
)
from saga_orchestrator.tests.support.virtual_time import await_idle, run_to_rest


@pytest.mark.parametrize(
    ("trouble", "told"),
    [
        (LogOverloaded(1000), Overloaded),
        (LogUnavailable("closing"), OutcomeUnknown),
    ],
)
async def test_start_refused_by_the_log_raises_unavailable(
    world: InMemoryService, log: TroubledLog, trouble: Exception, told: type[Unavailable]
) -> None:
    log.troubles.append(trouble)

    with pytest.raises(Unavailable) as refused:
        await world.start("order_processing")

    assert type(refused.value) is told

    assert (world.events, world.driver.active, world.participants.sent) == ([], {}, [])
    saga = await world.start("order_processing")
    assert (await world.await_rest(saga.state.saga_id)).state.status == "completed"


async def test_unconfirmed_start_that_was_recorded_is_driven_by_the_next_process(
    world: InMemoryService, log: TroubledLog
) -> None:
    log.lands = True
    log.troubles.append(LogUnavailable("the connection broke during the commit"))

    with pytest.raises(OutcomeUnknown):
        await world.start("order_processing")

    (saga_id,) = {one.stream_id for one in world.events}
    assert (world.driver.active, world.participants.sent) == ({}, [])
    restarted = await in_memory_service(store=log.store)
    await restarted.recover()
    assert (await run_to_rest(restarted, saga_id)).state.status == "completed"


async def test_result_is_kept_until_an_overloaded_log_records_it(
    world: InMemoryService, log: TroubledLog
) -> None:
    world.participants.hold("create_order")
    saga = await world.start("order_processing")
    await world.participants.await_call("create_order")
    log.troubles.extend([LogOverloaded(1000)] * 2)

    world.participants.release("create_order")

    rested = await world.await_rest(saga.state.saga_id)
    assert (rested.state.status, log.refused) == ("completed", 2)
    assert len(world.participants.sent) == 3


@pytest.mark.parametrize("trouble", [Fenced(3), LogUnavailable("closing")], ids=type)
async def test_saga_of_a_lost_shard_is_released(
    world: InMemoryService, log: TroubledLog, trouble: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    world.participants.hold("create_order")
    saga = await world.start("order_processing")
    await world.participants.await_call("create_order")
    waiting = asyncio.ensure_future(world.orchestrator.wait_until_rest(saga, TIME_LIMIT))
    log.troubles.append(trouble)

    world.participants.release("create_order")

    assert (await waiting).state.version == 2
    assert [one.message for one in caplog.records] == ["saga released"]
    assert (world.driver.active, world.driver.timers._due) == ({}, {})
    assert log.types(saga.state.saga_id) == ["SagaStarted", "StepCalled"]


async def test_log_without_a_claim_cannot_append(world: InMemoryService) -> None:
    """A second process takes over: the first one's answers do not land."""
    world.participants.hold("create_order")
    saga = await world.start("order_processing")
    await world.participants.await_call("create_order")
    taken_over = await in_memory_service(store=world.log.store)

    world.participants.release("create_order")
    await await_idle(world.driver)

    shard_id = shard_of(saga.state.saga_id)
    assert world.driver.active == {}
    assert list(world.driver.shards.fenced) == [shard_id]
    assert list(taken_over.driver.shards.fenced) == []
    assert await taken_over.recover() == 1
    assert (await run_to_rest(taken_over, saga.state.saga_id)).state.status == "completed"
    assert len(world.participants.sent) == 1


async def test_fenced_start_is_repeated_in_another_shard(
    world: InMemoryService, log: TroubledLog
) -> None:
    log.troubles.append(Fenced(1))

    saga = await world.start("order_processing")

    assert shard_of(saga.state.saga_id) != 1
    assert (await world.await_rest(saga.state.saga_id)).state.status == "completed"


async def test_ambiguous_commit_raises_outcome_unknown(
    world: InMemoryService, log: TroubledLog
) -> None:
    """It landed, and nobody was told: who lets go leaves the truth to the log."""
    world.participants.hold("create_order")
    saga = await world.start("order_processing")
    await world.participants.await_call("create_order")
    log.lands = True
    log.troubles.append(LogUnavailable("the connection broke during the commit"))

    world.participants.release("create_order")
    await await_idle(world.driver)

    assert world.participants.paths == ["POST /orders"]
    assert (await world.orchestrator.saga(saga.state.saga_id)).state.version == 4
    restarted = await in_memory_service(store=log.store)
    await restarted.recover()
    assert (await run_to_rest(restarted, saga.state.saga_id)).state.status == "completed"
    assert restarted.participants.sent[0].headers["saga-step"] == "process_payment"


async def test_outdated_saga_is_read_again_and_goes_on(
    world: InMemoryService, log: TroubledLog, caplog: pytest.LogCaptureFixture
) -> None:
    world.participants.hold("create_order")
    saga, other = [await world.start("order_processing") for _ in range(2)]
    await world.participants.await_call("create_order")
    log.troubles.append(WrongExpectedVersion(saga.state.saga_id, expected=2, actual=3))

    world.participants.release("create_order")
    await await_idle(world.driver)

    assert [one.message for one in caplog.records] == []
    statuses = [
        (await world.orchestrator.saga(one.state.saga_id)).state.status for one in (saga, other)
    ]
    assert statuses == ["completed", "completed"]


async def test_input_refused_by_the_log_raises_and_changes_nothing(
    world: InMemoryService, log: TroubledLog
) -> None:
    saga_id = (await world.start("order_processing")).state.saga_id
    await world.await_rest(saga_id)
    log.troubles.append(LogUnavailable("no database"))

    with pytest.raises(OutcomeUnknown, match="no database"):
        await world.orchestrator.execute(saga_id, Compensate())

    assert (await world.orchestrator.saga(saga_id)).state.status == "completed"
    await world.orchestrator.execute(saga_id, Compensate())
    assert (await world.await_rest(saga_id)).state.status == "compensated"


async def test_broken_history_blocks_no_other_saga(
    log: TroubledLog, caplog: pytest.LogCaptureFixture
) -> None:
    dead = await in_memory_service(log=log)
    for _ in range(3):
        dead.participants.hold("create_order")
        await dead.start("order_processing")
    streams = [one for one, events in log.store.streams.items() if events[0].type == "SagaStarted"]
    broken, *sound = streams
    nonsense = NewEvent(type="SagaCompensated", schema_version=1, recorded_at=NOON, payload=b"{}")
    await InMemoryLog.append(log, StreamId(broken), 2, [nonsense])
    restarted = await in_memory_service(store=log.store)

    assert await restarted.recover() == 2

    for saga_id in sound:
        assert (await run_to_rest(restarted, saga_id)).state.status == "completed"
    assert [(one.message, vars(one)["saga_id"]) for one in caplog.records] == [
        ("saga quarantined", broken)
    ]
    with pytest.raises(CorruptStream):
        await restarted.orchestrator.saga(broken)
    await dead.driver.drain(timedelta())


class StalledLog(InMemoryLog):
    """Its writer waits for the database, and has been told nothing for some time."""

    @property
    def stalled_for(self) -> timedelta:
        return timedelta(seconds=3)


async def test_start_behind_a_stalled_log_is_refused_and_records_nothing(
    world: InMemoryService,
) -> None:
    world.orchestrator.log = StalledLog(world.log.store)

    with pytest.raises(Unavailable, match="has not answered for 3 s") as refused:
        await world.start("order_processing")

    assert type(refused.value) is Unavailable, "not in doubt"
    assert (world.events, world.driver.active) == ([], {})


async def test_command_behind_a_stalled_log_is_refused(world: InMemoryService) -> None:
    saga = await world.await_rest((await world.start("order_processing")).state.saga_id)
    world.orchestrator.log = StalledLog(world.log.store)

    with pytest.raises(Unavailable, match="has not answered for 3 s") as refused:
        await world.orchestrator.execute(saga.state.saga_id, Compensate())

    assert type(refused.value) is Unavailable, "not in doubt"
    assert (await world.orchestrator.saga(saga.state.saga_id)).state == saga.state


async def test_command_not_confirmed_in_time_raises_outcome_unknown_and_may_take_effect(
    world: InMemoryService, log: TroubledLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.participants.hold("create_order")
    saga_id = (await world.start("order_processing")).state.saga_id
    monkeypatch.setattr(world.orchestrator, "_recording", SharedTimeout(timedelta()))
    log.slow = asyncio.Event()

    async with asyncio.timeout(TIME_LIMIT.total_seconds()):
        with pytest.raises(OutcomeUnknown):
            await world.orchestrator.execute(saga_id, Pause())

    log.slow.set()
    await log.recorded(saga_id, "SagaPaused")


class SilentLog(InMemoryLog):
    """Cannot be read."""

    async def read_stream(
        self, stream_id: StreamId, *, after_version: int = 0, limit: int = 1000
    ) -> Sequence[RecordedEvent]:
        raise LogUnavailable("no database")


async def test_read_of_an_unavailable_log_raises_unavailable(world: InMemoryService) -> None:
    saga = await world.await_rest((await world.start("order_processing")).state.saga_id)

    world.orchestrator.repository.log = SilentLog(world.log.store)

    with pytest.raises(Unavailable, match="no database"):
        await world.orchestrator.saga(saga.state.saga_id)
    with pytest.raises(Unavailable, match="no database"):
        await world.orchestrator.read_events_page(saga.state.saga_id, after=0, limit=10)


async def test_node_without_shards_starts_nothing(world: InMemoryService) -> None:
    world.driver.drop_shards(range(SHARD_COUNT))

    with pytest.raises(Unavailable, match="owns no shard"):
        await world.start("order_processing")


async def test_starts_are_spread_over_the_shards(world: InMemoryService) -> None:
    for _ in range(2 * SHARD_COUNT):
        await world.start("order_processing")

    lengths = [len(events) for events in world.log.store.shards.values()]
    assert len(lengths) == SHARD_COUNT
    assert sum(one.type == "SagaStarted" for one in world.events) == 2 * SHARD_COUNT
    await await_idle(world.driver)
    assert len({len(events) for events in world.log.store.shards.values()}) == 1
