"""The log went back to an older state, and the projector was told of more."""

from __future__ import annotations

import pytest
from saga_orchestrator.eventstore import SHARDS, PostgresLog
from saga_orchestrator.projections.tables import Overtaken, Tables
from saga_orchestrator.tests.event_builders import NOON, a_stream, an_event


async def test_a_checkpoint_never_passes_the_end_of_the_log(
    tables: Tables, database_url: str
) -> None:
    log = PostgresLog(database_url)
    await log.claim(range(SHARDS), recorded_at=NOON)
    (last,) = await log.append(a_stream(1), 0, [an_event()])
    before = await tables.checkpoints()

    with pytest.raises(Overtaken):
        await tables.write([], before, {1: last.seq + 1, 2: 1})

    assert await tables.checkpoints() == before
    await tables.write([], before, {1: last.seq, 2: 1})
    assert await tables.checkpoints() == before | {1: last.seq, 2: 1}
    await log.close()
