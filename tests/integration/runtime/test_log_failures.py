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
    ("trouble", "error_type"),
    [
        (LogOverloaded(1000), Overloaded),
        (LogUnavailable("closing"), OutcomeUnknown),
    ],
)
async def test_start_refused_by_the_log_raises_unavailable(
    service: InMemoryService, log: TroubledLog, trouble: Exception, error_type: type[Unavailable]
) -> None:
    log.troubles.append(trouble)

    with pytest.raises(Unavailable) as refused:
        await service.start("order_processing")

    assert type(refused.value) is error_type

    assert (service.events, service.driver.active, service.participants.sent) == ([], {}, [])
    saga = await service.start("order_processing")
    assert (await service.await_rest(saga.state.saga_id)).state.status == "completed"


async def test_unconfirmed_start_that_was_recorded_is_driven_by_the_next_process(
    service: InMemoryService, log: TroubledLog
) -> None:
    log.lands = True
    log.troubles.append(LogUnavailable("the connection broke during the commit"))

    with pytest.raises(OutcomeUnknown):
        await service.start("order_processing")

    (saga_id,) = {event.stream_id for event in service.events}
    assert (service.driver.active, service.participants.sent) == ({}, [])
    restarted = await in_memory_service(store=log.store)
    await restarted.recover()
    assert (await run_to_rest(restarted, saga_id)).state.status == "completed"


async def test_result_is_kept_until_an_overloaded_log_records_it(
    service: InMemoryService, log: TroubledLog
) -> None:
    saga = await service.start_held("create_order")
    log.troubles.extend([LogOverloaded(1000)] * 2)

    service.participants.release("create_order")

    rested = await service.await_rest(saga.state.saga_id)
    assert (rested.state.status, log.refused) == ("completed", 2)
    assert len(service.participants.sent) == 3


@pytest.mark.parametrize("trouble", [Fenced(3), LogUnavailable("closing")], ids=type)
async def test_saga_of_a_lost_shard_is_released(
    service: InMemoryService, log: TroubledLog, trouble: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    saga = await service.start_held("create_order")
    waiting = asyncio.ensure_future(service.orchestrator.wait_until_rest(saga, TIME_LIMIT))
    log.troubles.append(trouble)

    service.participants.release("create_order")

    assert (await waiting).state.version == 2
    assert [record.message for record in caplog.records] == ["saga released"]
    assert (service.driver.active, service.driver.timers._due) == ({}, {})
    assert log.types(saga.state.saga_id) == ["SagaStarted", "StepCalled"]


async def test_log_without_a_claim_cannot_append(service: InMemoryService) -> None:
    """A second process takes over: the first one's answers do not land."""
    saga = await service.start_held("create_order")
    taken_over = await in_memory_service(store=service.log.store)

    service.participants.release("create_order")
    await await_idle(service.driver)

    shard_id = shard_of(saga.state.saga_id)
    assert service.driver.active == {}
    assert list(service.driver.shards.fenced) == [shard_id]
    assert list(taken_over.driver.shards.fenced) == []
    assert await taken_over.recover() == 1
    assert (await run_to_rest(taken_over, saga.state.saga_id)).state.status == "completed"
    assert len(service.participants.sent) == 1


async def test_fenced_start_is_repeated_in_another_shard(
    service: InMemoryService, log: TroubledLog
) -> None:
    log.troubles.append(Fenced(1))

    saga = await service.start("order_processing")

    assert shard_of(saga.state.saga_id) != 1
    assert (await service.await_rest(saga.state.saga_id)).state.status == "completed"


async def test_ambiguous_commit_raises_outcome_unknown(
    service: InMemoryService, log: TroubledLog
) -> None:
    """It landed, and nobody was told: who lets go leaves the truth to the log."""
    saga = await service.start_held("create_order")
    log.lands = True
    log.troubles.append(LogUnavailable("the connection broke during the commit"))

    service.participants.release("create_order")
    await await_idle(service.driver)

    assert service.participants.paths == ["POST /orders"]
    assert (await service.orchestrator.saga(saga.state.saga_id)).state.version == 4
    restarted = await in_memory_service(store=log.store)
    await restarted.recover()
    assert (await run_to_rest(restarted, saga.state.saga_id)).state.status == "completed"
    assert restarted.participants.sent[0].headers["saga-step"] == "process_payment"


async def test_outdated_saga_is_read_again_and_goes_on(
    service: InMemoryService, log: TroubledLog, caplog: pytest.LogCaptureFixture
) -> None:
    service.participants.hold("create_order")
    saga, other = [await service.start("order_processing") for _ in range(2)]
    await service.participants.await_call("create_order")
    log.troubles.append(WrongExpectedVersion(saga.state.saga_id, expected=2, actual=3))

    service.participants.release("create_order")
    await await_idle(service.driver)

    assert [record.message for record in caplog.records] == []
    statuses = [
        (await service.orchestrator.saga(started_saga.state.saga_id)).state.status
        for started_saga in (saga, other)
    ]
    assert statuses == ["completed", "completed"]


async def test_input_refused_by_the_log_raises_and_changes_nothing(
    service: InMemoryService, log: TroubledLog
) -> None:
    saga_id = (await service.start("order_processing")).state.saga_id
    await service.await_rest(saga_id)
    log.troubles.append(LogUnavailable("no database"))

    with pytest.raises(OutcomeUnknown, match="no database"):
        await service.orchestrator.execute(saga_id, Compensate())

    assert (await service.orchestrator.saga(saga_id)).state.status == "completed"
    await service.orchestrator.execute(saga_id, Compensate())
    assert (await service.await_rest(saga_id)).state.status == "compensated"


async def test_broken_history_blocks_no_other_saga(
    log: TroubledLog, caplog: pytest.LogCaptureFixture
) -> None:
    dead = await in_memory_service(log=log)
    for _ in range(3):
        dead.participants.hold("create_order")
        await dead.start("order_processing")
    streams = [
        each_saga_id
        for each_saga_id, events in log.store.streams.items()
        if events[0].type == "SagaStarted"
    ]
    broken, *sound = streams
    nonsense = NewEvent(type="SagaCompensated", schema_version=1, recorded_at=NOON, payload=b"{}")
    await InMemoryLog.append(log, StreamId(broken), 2, [nonsense])
    restarted = await in_memory_service(store=log.store)

    assert await restarted.recover() == 2

    for saga_id in sound:
        assert (await run_to_rest(restarted, saga_id)).state.status == "completed"
    assert [(record.message, vars(record)["saga_id"]) for record in caplog.records] == [
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
    service: InMemoryService,
) -> None:
    service.orchestrator.log = StalledLog(service.log.store)

    with pytest.raises(Unavailable, match="has not answered for 3 s") as refused:
        await service.start("order_processing")

    assert type(refused.value) is Unavailable, "not in doubt"
    assert (service.events, service.driver.active) == ([], {})


async def test_command_behind_a_stalled_log_is_refused(service: InMemoryService) -> None:
    saga = await service.await_rest((await service.start("order_processing")).state.saga_id)
    service.orchestrator.log = StalledLog(service.log.store)

    with pytest.raises(Unavailable, match="has not answered for 3 s") as refused:
        await service.orchestrator.execute(saga.state.saga_id, Compensate())

    assert type(refused.value) is Unavailable, "not in doubt"
    assert (await service.orchestrator.saga(saga.state.saga_id)).state == saga.state


async def test_command_not_confirmed_in_time_raises_outcome_unknown_and_may_take_effect(
    service: InMemoryService, log: TroubledLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    service.participants.hold("create_order")
    saga_id = (await service.start("order_processing")).state.saga_id
    monkeypatch.setattr(service.orchestrator, "_recording", SharedTimeout(timedelta()))
    log.slow = asyncio.Event()

    async with asyncio.timeout(TIME_LIMIT.total_seconds()):
        with pytest.raises(OutcomeUnknown):
            await service.orchestrator.execute(saga_id, Pause())

    log.slow.set()
    await log.recorded(saga_id, "SagaPaused")


class SilentLog(InMemoryLog):
    """Cannot be read."""

    async def read_stream(
        self, stream_id: StreamId, *, after_version: int = 0, limit: int = 1000
    ) -> Sequence[RecordedEvent]:
        raise LogUnavailable("no database")


async def test_read_of_an_unavailable_log_raises_unavailable(service: InMemoryService) -> None:
    saga = await service.await_rest((await service.start("order_processing")).state.saga_id)

    service.orchestrator.repository.log = SilentLog(service.log.store)

    with pytest.raises(Unavailable, match="no database"):
        await service.orchestrator.saga(saga.state.saga_id)
    with pytest.raises(Unavailable, match="no database"):
        await service.orchestrator.read_events_page(saga.state.saga_id, after=0, limit=10)


async def test_node_without_shards_starts_nothing(service: InMemoryService) -> None:
    service.driver.drop_shards(range(SHARD_COUNT))

    with pytest.raises(Unavailable, match="owns no shard"):
        await service.start("order_processing")


async def test_starts_are_spread_over_the_shards(service: InMemoryService) -> None:
    for _ in range(2 * SHARD_COUNT):
        await service.start("order_processing")

    lengths = [len(events) for events in service.log.store.shards.values()]
    assert len(lengths) == SHARD_COUNT
    assert sum(event.type == "SagaStarted" for event in service.events) == 2 * SHARD_COUNT
    await await_idle(service.driver)
    assert len({len(events) for events in service.log.store.shards.values()}) == 1
