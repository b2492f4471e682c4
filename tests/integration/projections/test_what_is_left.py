"""Sagas under way are left for the next write of the status view, once; nothing is lost by it."""

from __future__ import annotations

from collections.abc import Mapping
from random import Random

import psycopg
import pytest
from saga_orchestrator.projections.projector import Projector
from saga_orchestrator.projections.tables import Tables
from saga_orchestrator.tests.integration.projections.busy_world import (
    a_busy_world,
    checkpoints,
    fresh_folds,
    heads,
    live_a_while,
    projected,
    rows,
    sagas_of,
)
from saga_orchestrator.tests.integration.projections.failing_tables import FailingTables
from saga_orchestrator.tests.passing_time import quiet, skip_to_next_wake_up
from saga_orchestrator.tests.world import World


async def test_a_saga_under_way_is_left_once_and_the_checkpoint_waits_for_it(
    world: World, projector: Projector, database_url: str
) -> None:
    await live_a_while(world, Random(21), sagas=20)
    resting = [row for row in await fresh_folds(world) if row["rests"]]
    assert 0 < len(resting) < 20

    assert await projector.step_by_age() == len(resting)

    assert rows(database_url) == resting
    assert folded(checkpoints(database_url), world) == {row["saga_id"] for row in resting}
    await projector.step_by_age()
    assert rows(database_url) == await fresh_folds(world)
    assert checkpoints(database_url) == heads(world)


def folded(checkpoints: Mapping[int, int], world: World) -> set[str]:
    """The sagas without an event behind a checkpoint."""
    behind = {
        event.stream_id
        for shard_id, events in world.log.store.shards.items()
        for event in events
        if event.seq > checkpoints[shard_id]
    }
    return set(sagas_of(world)) - behind


async def test_who_is_left_may_change_and_keeps_the_checkpoint_before_its_first_event(
    world: World, projector: Projector, tables: Tables, database_url: str
) -> None:
    before = checkpoints(database_url)
    await world.start("pivotal")
    await quiet(world.driver)
    await projector.step_by_age()
    while skip_to_next_wake_up(world):
        await quiet(world.driver)

    restarted = await a_busy_world(seed=5, store=world.log.store)
    assert checkpoints(database_url) == before
    await projected(restarted, tables)

    assert rows(database_url) == await fresh_folds(restarted)


async def test_what_was_left_and_could_not_be_written_is_written_with_the_next(
    world: World, database_url: str
) -> None:
    tables = FailingTables(database_url)
    projector = await projected(world, tables)
    await live_a_while(world, Random(22), sagas=5)
    tables.failures = 1
    with pytest.raises(psycopg.OperationalError):
        await projector.step_by_age()
    await live_a_while(world, Random(23), sagas=5)

    await projector.step_by_age()
    await projector.step_by_age()

    assert rows(database_url) == await fresh_folds(world)
    assert checkpoints(database_url) == heads(world)
    await tables.close()
