"""A write that is cancelled, as by a stop, must not take what it held with it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from random import Random

import pytest
from saga_orchestrator.fsm.saga import Saga
from saga_orchestrator.projections.tables import Tables
from saga_orchestrator.tests.integration.projections.busy_world import (
    checkpoints,
    fresh_folds,
    heads,
    live_a_while,
    projected,
    rows,
)
from saga_orchestrator.tests.world import World


class StuckTables(Tables):
    """A write that begins while it sticks never comes to its end."""

    def __init__(self, database_url: str) -> None:
        super().__init__(database_url)
        self.sticks = False
        self.stuck = asyncio.Event()

    async def write(
        self, sagas: Sequence[Saga], before: Mapping[int, int], after: Mapping[int, int]
    ) -> None:
        if self.sticks:
            self.stuck.set()
            await asyncio.Event().wait()
        await super().write(sagas, before, after)


async def test_the_checkpoint_does_not_pass_what_a_cancelled_write_has_held(
    world: World, database_url: str
) -> None:
    tables = StuckTables(database_url)
    projector = await projected(world, tables)
    before = checkpoints(database_url)
    await live_a_while(world, Random(21), sagas=5)

    tables.sticks = True
    writing = asyncio.ensure_future(projector.step())
    await tables.stuck.wait()
    writing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await writing
    tables.sticks = False
    assert (rows(database_url), checkpoints(database_url)) == ([], before)
    await live_a_while(world, Random(22), sagas=5)
    await projector.step()

    assert rows(database_url) == await fresh_folds(world)
    assert checkpoints(database_url) == heads(world)
    await tables.close()
