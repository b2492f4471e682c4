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
    a_random_world,
    caught_up_projector,
    checkpoints,
    heads,
    replayed_rows,
    rows,
    run_random_sagas,
    saga_ids_of,
)
from saga_orchestrator.tests.support.in_memory_service import InMemoryService
from saga_orchestrator.tests.support.virtual_time import advance_to_next_wakeup, await_idle


async def test_saga_in_progress_is_deferred_once_and_its_checkpoint_waits(
    world: InMemoryService, projector: Projector, database_url: str
) -> None:
    await run_random_sagas(world, Random(21), sagas=20)
    resting = [row for row in await replayed_rows(world) if row["rests"]]
    assert 0 < len(resting) < 20

    assert await projector.flush_due() == len(resting)

    assert rows(database_url) == resting
    assert folded(checkpoints(database_url), world) == {row["saga_id"] for row in resting}
    await projector.flush_due()
    assert rows(database_url) == await replayed_rows(world)
    assert checkpoints(database_url) == heads(world)


def folded(checkpoints: Mapping[int, int], world: InMemoryService) -> set[str]:
    """Return the sagas without an event behind a checkpoint."""
    behind = {
        event.stream_id
        for shard_id, events in world.log.store.shards.items()
        for event in events
        if event.seq > checkpoints[shard_id]
    }
    return set(saga_ids_of(world)) - behind


async def test_deferred_saga_keeps_the_checkpoint_before_its_first_event(
    world: InMemoryService, projector: Projector, status_table: StatusTable, database_url: str
) -> None:
    before = checkpoints(database_url)
    await world.start("pivotal")
    await await_idle(world.driver)
    await projector.flush_due()
    while advance_to_next_wakeup(world):
        await await_idle(world.driver)

    restarted = await a_random_world(seed=5, store=world.log.store)
    assert checkpoints(database_url) == before
    await caught_up_projector(restarted, status_table)

    assert rows(database_url) == await replayed_rows(restarted)


async def test_deferred_rows_survive_a_failed_write(
    world: InMemoryService, database_url: str
) -> None:
    status_table = FailingStatusTable(database_url)
    projector = await caught_up_projector(world, status_table)
    await run_random_sagas(world, Random(22), sagas=5)
    status_table.failures = 1
    with pytest.raises(psycopg.OperationalError):
        await projector.flush_due()
    await run_random_sagas(world, Random(23), sagas=5)

    await projector.flush_due()
    await projector.flush_due()

    assert rows(database_url) == await replayed_rows(world)
    assert checkpoints(database_url) == heads(world)
    await status_table.close()
