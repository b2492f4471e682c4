"""Rows of sagas in progress are deferred, and nothing is lost by that."""

from __future__ import annotations

from collections.abc import Mapping
from random import Random

import psycopg
import pytest
from saga_orchestrator.projections.projector import Projector
from saga_orchestrator.projections.status_table import StatusTable
from saga_orchestrator.tests.integration.projections.failing_status_table import FailingStatusTable
from saga_orchestrator.tests.integration.projections.random_sagas import (
    caught_up_projector,
    checkpoints,
    heads,
    random_service,
    replayed_rows,
    rows,
    run_random_sagas,
    saga_ids_of,
)
from saga_orchestrator.tests.support.in_memory_service import InMemoryService
from saga_orchestrator.tests.support.virtual_time import advance_to_next_wakeup, await_idle


async def test_saga_in_progress_is_deferred_once_and_its_checkpoint_waits(
    service: InMemoryService, projector: Projector, database_url: str
) -> None:
    await run_random_sagas(service, Random(21), sagas=20)
    resting = [row for row in await replayed_rows(service) if row["rests"]]
    assert 0 < len(resting) < 20

    assert await projector.flush_due() == len(resting)

    assert rows(database_url) == resting
    assert folded(checkpoints(database_url), service) == {row["saga_id"] for row in resting}
    await projector.flush_due()
    assert rows(database_url) == await replayed_rows(service)
    assert checkpoints(database_url) == heads(service)


def folded(checkpoints: Mapping[int, int], service: InMemoryService) -> set[str]:
    """Return the sagas without an event behind a checkpoint."""
    behind = {
        event.stream_id
        for shard_id, events in service.log.store.shards.items()
        for event in events
        if event.seq > checkpoints[shard_id]
    }
    return set(saga_ids_of(service)) - behind


async def test_deferred_saga_keeps_the_checkpoint_before_its_first_event(
    service: InMemoryService, projector: Projector, status_table: StatusTable, database_url: str
) -> None:
    before = checkpoints(database_url)
    await service.start("pivotal")
    await await_idle(service.driver)
    await projector.flush_due()
    while advance_to_next_wakeup(service):
        await await_idle(service.driver)

    restarted = await random_service(seed=5, store=service.log.store)
    assert checkpoints(database_url) == before
    await caught_up_projector(restarted, status_table)

    assert rows(database_url) == await replayed_rows(restarted)


async def test_deferred_rows_survive_a_failed_write(
    service: InMemoryService, database_url: str
) -> None:
    status_table = FailingStatusTable(database_url)
    projector = await caught_up_projector(service, status_table)
    await run_random_sagas(service, Random(22), sagas=5)
    status_table.failures = 1
    with pytest.raises(psycopg.OperationalError):
        await projector.flush_due()
    await run_random_sagas(service, Random(23), sagas=5)

    await projector.flush_due()
    await projector.flush_due()

    assert rows(database_url) == await replayed_rows(service)
    assert checkpoints(database_url) == heads(service)
    await status_table.close()
