"""Rows of idle sagas have their next wake-up, so a start need not read their streams."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

import pytest
from saga_orchestrator.eventstore.event import SHARD_COUNT
from saga_orchestrator.fsm.call_outcome import CallResult, NotSent, Response
from saga_orchestrator.fsm.inputs import Pause, StartSaga
from saga_orchestrator.projections.status_table import StatusTable, UnfinishedSaga
from saga_orchestrator.tests.integration.projections.random_sagas import (
    caught_up_projector,
)
from saga_orchestrator.tests.support.in_memory_service import (
    NOON,
    ORDER_STEP_DATA,
    InMemoryService,
    in_memory_service,
)
from saga_orchestrator.tests.support.virtual_time import await_idle

HOUR: Final = timedelta(hours=1)
DOCUMENTS: Final = (
    "saga: nap\nversion: 1\nsteps: [{name: doze, sleep: 1h}]",
    "saga: approval\nversion: 1\nsteps: [{name: ok, wait_for: {signal: ok, timeout: 1h}}]",
    "saga: parent\nversion: 1\nsteps: [{name: trip, saga: {type: nap}}]",
    """
saga: trip
version: 1
steps:
  - name: book
    participant: hotel
    action: {path: /book, retry: {first: 2h, cap: 2h}}
    compensation: {path: /unbook}
    completion: callback
    completion_timeout: 1h
""",
)


async def service_of_waiting_sagas(answer: CallResult) -> InMemoryService:
    service = await in_memory_service(*DOCUMENTS)
    service.participants.will_reply("book", answer)
    return service


async def start(service: InMemoryService, saga_type: str, start_at: datetime | None = None) -> str:
    request = StartSaga(entity_id=1, input={"step_data": ORDER_STEP_DATA}, start_at=start_at)
    saga_id = (await service.orchestrator.start(saga_type, request)).saga.state.saga_id
    await await_idle(service.driver)
    return saga_id


@pytest.mark.parametrize(
    ("saga_type", "answer", "start_at", "wake_at"),
    [
        ("nap", Response(200, {}, b""), None, NOON + HOUR),
        ("approval", Response(200, {}, b""), None, NOON + HOUR),
        ("trip", Response(202, {}, b""), None, NOON + HOUR),
        ("trip", NotSent("refused"), None, NOON + HOUR),
        ("trip", Response(200, {}, b""), NOON + HOUR, NOON + HOUR),
    ],
    ids=["sleep", "signal", "callback", "back-off", "scheduled start"],
)
async def test_waiting_saga_is_idle_until_its_wakeup(
    status_table: StatusTable,
    saga_type: str,
    answer: CallResult,
    start_at: datetime | None,
    wake_at: datetime,
) -> None:
    service = await service_of_waiting_sagas(answer)
    projector = await caught_up_projector(service, status_table)

    saga_id = await start(service, saga_type, start_at)
    await projector.flush()

    assert await status_table.unfinished_sagas(range(SHARD_COUNT)) == [
        UnfinishedSaga(saga_id, True, wake_at)
    ]


async def test_paused_saga_is_idle_without_wakeup(status_table: StatusTable) -> None:
    service = await service_of_waiting_sagas(Response(200, {}, b""))
    projector = await caught_up_projector(service, status_table)
    saga_id = await start(service, "nap")

    await service.orchestrator.execute(saga_id, Pause())
    await projector.flush()

    assert await status_table.unfinished_sagas(range(SHARD_COUNT)) == [
        UnfinishedSaga(saga_id, True, None)
    ]


async def test_saga_with_a_call_or_a_child_is_not_idle(status_table: StatusTable) -> None:
    """A crash would lose what only this process knows, so such sagas are read after a start."""
    service = await service_of_waiting_sagas(Response(200, {}, b""))
    projector = await caught_up_projector(service, status_table)
    parent_id = await start(service, "parent")
    called = (await service.start_held("book", "trip")).state.saga_id

    await projector.flush()

    sagas = await status_table.unfinished_sagas(range(SHARD_COUNT))
    unfinished = {saga.saga_id: saga.is_idle for saga in sagas}
    assert (unfinished.pop(parent_id), unfinished.pop(called)) == (False, False)
    assert list(unfinished.values()) == [True]
    await service.driver.drain(timedelta())


async def test_unfinished_sagas_are_read_by_shard(status_table: StatusTable) -> None:
    service = await service_of_waiting_sagas(Response(200, {}, b""))
    projector = await caught_up_projector(service, status_table)
    sagas = [await start(service, "nap") for _ in range(2 * SHARD_COUNT)]
    await projector.flush()

    by_shard = [await status_table.unfinished_sagas([shard_id]) for shard_id in range(SHARD_COUNT)]

    assert [len(unfinished) for unfinished in by_shard] == [2] * SHARD_COUNT
    assert sorted(saga.saga_id for unfinished in by_shard for saga in unfinished) == sorted(sagas)
