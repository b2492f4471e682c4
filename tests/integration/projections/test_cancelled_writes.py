"""The rows of a cancelled write, as by a stop, are still written later."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from random import Random

import pytest
from saga_orchestrator.fsm.saga import Saga
from saga_orchestrator.projections.status_table import StatusTable
from saga_orchestrator.tests.integration.projections.random_sagas import (
    caught_up_projector,
    checkpoints,
    heads,
    replayed_rows,
    rows,
    run_random_sagas,
)
from saga_orchestrator.tests.support.in_memory_service import InMemoryService


class BlockingStatusTable(StatusTable):
    """A status table whose writes never return while it blocks."""

    def __init__(self, database_url: str) -> None:
        super().__init__(database_url)
        self.blocks = False
        self.is_blocked = asyncio.Event()

    async def write(
        self, sagas: Sequence[Saga], before: Mapping[int, int], after: Mapping[int, int]
    ) -> None:
        if self.blocks:
            self.is_blocked.set()
            await asyncio.Event().wait()
        await super().write(sagas, before, after)


async def test_checkpoint_does_not_pass_a_cancelled_write(
    service: InMemoryService, database_url: str
) -> None:
    status_table = BlockingStatusTable(database_url)
    projector = await caught_up_projector(service, status_table)
    before = checkpoints(database_url)
    await run_random_sagas(service, Random(21), sagas=5)

    status_table.blocks = True
    writing = asyncio.ensure_future(projector.flush())
    await status_table.is_blocked.wait()
    writing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await writing
    status_table.blocks = False
    assert (rows(database_url), checkpoints(database_url)) == ([], before)
    await run_random_sagas(service, Random(22), sagas=5)
    await projector.flush()

    assert rows(database_url) == await replayed_rows(service)
    assert checkpoints(database_url) == heads(service)
    await status_table.close()
