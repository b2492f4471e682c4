"""What the driver does when the log refuses, and with histories that are broken."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import timedelta

import pytest
from saga_orchestrator.eventstore import (
    SHARDS,
    Fenced,
    InMemoryLog,
    LogOverloaded,
    LogUnavailable,
    NewEvent,
    RecordedEvent,
    StreamId,
    WrongExpectedVersion,
    shard_of,
)
from saga_orchestrator.fsm.errors import CorruptStream
from saga_orchestrator.fsm.happening import CompensationAsked, PauseAsked
from saga_orchestrator.fsm.runtime.errors import InDoubt, LogBusy, NotServing
from saga_orchestrator.fsm.runtime.within import Within
from saga_orchestrator.tests.integration.runtime.troubled_log import TroubledLog
from saga_orchestrator.tests.passing_time import at_rest, quiet
from saga_orchestrator.tests.world import ENOUGH, NOON, World, a_world


@pytest.mark.parametrize(
    ("trouble", "told"),
    [
        (LogOverloaded(1000), LogBusy),
        (LogUnavailable("closing"), InDoubt),
    ],
)
async def test_a_start_that_the_log_does_not_take_is_told_as_such(
    world: World, log: TroubledLog, trouble: Exception, told: type[NotServing]
) -> None:
    log.troubles.append(trouble)

    with pytest.raises(NotServing) as refused:
        await world.start("order_processing")

    assert type(refused.value) is told

    assert (world.events, world.driver.live, world.participants.sent) == ([], {}, [])
    saga = await world.start("order_processing")
    assert (await world.rested(saga.state.saga_id)).state.status == "completed"


async def test_a_start_in_doubt_that_landed_is_driven_by_the_next_process(
    world: World, log: TroubledLog
) -> None:
    log.lands = True
    log.troubles.append(LogUnavailable("the connection broke during the commit"))

    with pytest.raises(InDoubt):
        await world.start("order_processing")

    (saga_id,) = {one.stream_id for one in world.events}
    assert (world.driver.live, world.participants.sent) == ({}, [])
    restarted = await a_world(store=log.store)
    await restarted.recover()
    assert (await at_rest(restarted, saga_id)).state.status == "completed"


async def test_an_answer_is_kept_until_a_busy_log_takes_it(world: World, log: TroubledLog) -> None:
    world.participants.hold("create_order")
    saga = await world.start("order_processing")
    await world.participants.called("create_order")
    log.troubles.extend([LogOverloaded(1000)] * 2)

    world.participants.release("create_order")

    rested = await world.rested(saga.state.saga_id)
    assert (rested.state.status, log.refused) == ("completed", 2)
    assert len(world.participants.sent) == 3


@pytest.mark.parametrize("trouble", [Fenced(3), LogUnavailable("closing")], ids=type)
async def test_a_saga_whose_shard_is_lost_is_let_go(
    world: World, log: TroubledLog, trouble: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    world.participants.hold("create_order")
    saga = await world.start("order_processing")
    await world.participants.called("create_order")
    waiting = asyncio.ensure_future(world.orchestrator.rested(saga, ENOUGH))
    log.troubles.append(trouble)

    world.participants.release("create_order")

    assert (await waiting).state.version == 2
    assert [one.message for one in caplog.records] == ["saga let go"]
    assert (world.driver.live, world.driver.timers._due) == ({}, {})
    assert log.types(saga.state.saga_id) == ["SagaStarted", "StepCalled"]


async def test_a_log_without_a_claim_cannot_append_any_more(world: World) -> None:
    """A second process takes over: the first one's answers do not land."""
    world.participants.hold("create_order")
    saga = await world.start("order_processing")
    await world.participants.called("create_order")
    taken_over = await a_world(store=world.log.store)

    world.participants.release("create_order")
    await quiet(world.driver)

    shard_id = shard_of(saga.state.saga_id)
    assert (world.driver.live, world.driver.fenced, taken_over.driver.fenced) == (
        {},
        {shard_id},
        set(),
    )
    assert await taken_over.recover() == 1
    assert (await at_rest(taken_over, saga.state.saga_id)).state.status == "completed"
    assert len(world.participants.sent) == 1


async def test_a_start_that_is_fenced_begins_in_another_shard(
    world: World, log: TroubledLog
) -> None:
    log.troubles.append(Fenced(1))

    saga = await world.start("order_processing")

    assert shard_of(saga.state.saga_id) != 1
    assert (await world.rested(saga.state.saga_id)).state.status == "completed"


async def test_an_ambiguous_commit_is_never_guessed_about(world: World, log: TroubledLog) -> None:
    """It landed, and nobody was told: who lets go leaves the truth to the log."""
    world.participants.hold("create_order")
    saga = await world.start("order_processing")
    await world.participants.called("create_order")
    log.lands = True
    log.troubles.append(LogUnavailable("the connection broke during the commit"))

    world.participants.release("create_order")
    await quiet(world.driver)

    assert world.participants.paths == ["POST /orders"]
    assert (await world.orchestrator.saga(saga.state.saga_id)).state.version == 4
    restarted = await a_world(store=log.store)
    await restarted.recover()
    assert (await at_rest(restarted, saga.state.saga_id)).state.status == "completed"
    assert restarted.participants.sent[0].headers["saga-step"] == "process_payment"


async def test_a_saga_that_somebody_else_has_moved_is_read_again_and_goes_on(
    world: World, log: TroubledLog, caplog: pytest.LogCaptureFixture
) -> None:
    world.participants.hold("create_order")
    saga, other = [await world.start("order_processing") for _ in range(2)]
    await world.participants.called("create_order")
    log.troubles.append(WrongExpectedVersion(saga.state.saga_id, expected=2, actual=3))

    world.participants.release("create_order")
    await quiet(world.driver)

    assert [one.message for one in caplog.records] == []
    statuses = [
        (await world.orchestrator.saga(one.state.saga_id)).state.status for one in (saga, other)
    ]
    assert statuses == ["completed", "completed"]


async def test_a_happening_that_the_log_does_not_take_is_told_and_changes_nothing(
    world: World, log: TroubledLog
) -> None:
    saga_id = (await world.start("order_processing")).state.saga_id
    await world.rested(saga_id)
    log.troubles.append(LogUnavailable("no database"))

    with pytest.raises(InDoubt, match="no database"):
        await world.orchestrator.ask(saga_id, CompensationAsked())

    assert (await world.orchestrator.saga(saga_id)).state.status == "completed"
    await world.orchestrator.ask(saga_id, CompensationAsked())
    assert (await world.rested(saga_id)).state.status == "compensated"


async def test_a_broken_history_blocks_no_other(
    log: TroubledLog, caplog: pytest.LogCaptureFixture
) -> None:
    dead = await a_world(log=log)
    for _ in range(3):
        dead.participants.hold("create_order")
        await dead.start("order_processing")
    streams = [one for one, events in log.store.streams.items() if events[0].type == "SagaStarted"]
    broken, *sound = streams
    nonsense = NewEvent(type="SagaCompensated", schema_version=1, recorded_at=NOON, payload=b"{}")
    await InMemoryLog.append(log, StreamId(broken), 2, [nonsense])
    restarted = await a_world(store=log.store)

    assert await restarted.recover() == 2

    for saga_id in sound:
        assert (await at_rest(restarted, saga_id)).state.status == "completed"
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


async def test_a_start_behind_a_stalled_log_is_refused_and_leaves_nothing(world: World) -> None:
    world.orchestrator.log = StalledLog(world.log.store)

    with pytest.raises(NotServing, match="has not answered for 3 s") as refused:
        await world.start("order_processing")

    assert type(refused.value) is NotServing, "not in doubt"
    assert (world.events, world.driver.live) == ([], {})


async def test_a_verb_behind_a_stalled_log_is_refused(world: World) -> None:
    saga = await world.rested((await world.start("order_processing")).state.saga_id)
    world.orchestrator.log = StalledLog(world.log.store)

    with pytest.raises(NotServing, match="has not answered for 3 s") as refused:
        await world.orchestrator.ask(saga.state.saga_id, CompensationAsked())

    assert type(refused.value) is NotServing, "not in doubt"
    assert (await world.orchestrator.saga(saga.state.saga_id)).state == saga.state


async def test_a_verb_that_the_log_does_not_record_in_time_is_in_doubt_and_may_count(
    world: World, log: TroubledLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.participants.hold("create_order")
    saga_id = (await world.start("order_processing")).state.saga_id
    monkeypatch.setattr(world.orchestrator, "_recording", Within(timedelta()))
    log.slow = asyncio.Event()

    async with asyncio.timeout(ENOUGH.total_seconds()):
        with pytest.raises(InDoubt):
            await world.orchestrator.ask(saga_id, PauseAsked())

    log.slow.set()
    await log.recorded(saga_id, "SagaPaused")


class SilentLog(InMemoryLog):
    """Cannot be read."""

    async def read_stream(
        self, stream_id: StreamId, *, after_version: int = 0, limit: int = 1000
    ) -> Sequence[RecordedEvent]:
        raise LogUnavailable("no database")


async def test_an_unavailable_log_is_told_when_it_is_read(world: World) -> None:
    saga = await world.rested((await world.start("order_processing")).state.saga_id)

    world.orchestrator.journal.log = SilentLog(world.log.store)

    with pytest.raises(NotServing, match="no database"):
        await world.orchestrator.saga(saga.state.saga_id)
    with pytest.raises(NotServing, match="no database"):
        await world.orchestrator.entries(saga.state.saga_id, after=0, limit=10)


async def test_a_node_without_shards_starts_nothing(world: World) -> None:
    world.driver.epochs = {}

    with pytest.raises(NotServing, match="owns no shard"):
        await world.start("order_processing")


async def test_starts_go_round_the_shards(world: World) -> None:
    for _ in range(2 * SHARDS):
        await world.start("order_processing")

    lengths = [len(events) for events in world.log.store.shards.values()]
    assert len(lengths) == SHARDS
    assert sum(one.type == "SagaStarted" for one in world.events) == 2 * SHARDS
    await quiet(world.driver)
    assert len({len(events) for events in world.log.store.shards.values()}) == 1
