"""The log went back to an older state than the projector has observed."""

from __future__ import annotations

import pytest
from saga_orchestrator.eventstore.event import SHARD_COUNT
from saga_orchestrator.eventstore.postgres.event_log import PostgresLog
from saga_orchestrator.projections.errors import CheckpointConflict
from saga_orchestrator.projections.status_table import StatusTable
from saga_orchestrator.tests.support.event_builders import NOON, make_event, make_stream_id


async def test_a_checkpoint_never_passes_the_end_of_the_log(
    status_table: StatusTable, database_url: str
) -> None:
    log = PostgresLog(database_url)
    await log.claim(range(SHARD_COUNT), recorded_at=NOON)
    (last,) = await log.append(make_stream_id(1), 0, [make_event()])
    before = await status_table.checkpoints()

    with pytest.raises(CheckpointConflict):
        await status_table.write([], before, {1: last.seq + 1, 2: 1})

    assert await status_table.checkpoints() == before
    await status_table.write([], before, {1: last.seq, 2: 1})
    assert await status_table.checkpoints() == before | {1: last.seq, 2: 1}
    await log.close()
