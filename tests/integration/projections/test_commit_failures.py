"""The status table when commits fail although their statements were executed."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from random import Random

import pytest
from saga_orchestrator.projections import projector as projecting
from saga_orchestrator.projections.projector import DATABASE_ERRORS, Projector
from saga_orchestrator.tests.integration.projections.random_sagas import (
    checkpoints,
    heads,
    replayed_rows,
    rows,
    run_random_sagas,
)
from saga_orchestrator.tests.support.failing_commits import LOST_CONNECTION, fail_commits, raising
from saga_orchestrator.tests.support.in_memory_service import InMemoryService

FAILURES = {
    "serialization failure": raising("40001"),
    "full disk": raising("53100"),
    "a trigger's own error": raising("P0001"),
    "a foreign check": raising("23514"),
    "lost connection": LOST_CONNECTION,
}


@pytest.mark.parametrize("failure", FAILURES.values(), ids=FAILURES.keys())
@pytest.mark.parametrize("table", ["saga_status", "projection_checkpoint"])
async def test_a_projector_goes_on_after_commits_that_fail(
    service: InMemoryService,
    projector: Projector,
    database_url: str,
    table: str,
    failure: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(projecting, "RETRY_DELAY", projecting.FLUSH_INTERVAL)
    await run_random_sagas(service, Random(1), sagas=5)
    fail_commits(database_url, table, failure, times=3)

    running = asyncio.create_task(projector.run())
    async with asyncio.timeout(10):
        while checkpoints(database_url) != heads(service):
            assert not running.done()
            await asyncio.sleep(0)
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running

    assert rows(database_url) == await replayed_rows(service)


@pytest.mark.parametrize("failure", FAILURES.values(), ids=FAILURES.keys())
async def test_failed_commit_is_a_database_error_and_no_checkpoint_conflict(
    service: InMemoryService, projector: Projector, database_url: str, failure: str
) -> None:
    await run_random_sagas(service, Random(2), sagas=3)
    fail_commits(database_url, "projection_checkpoint", failure, times=2)

    with pytest.raises(DATABASE_ERRORS):
        await projector.flush()

    with suppress(*DATABASE_ERRORS):  # after a constraint violation there is no second attempt
        await projector.flush()
    await projector.flush()
    assert checkpoints(database_url) == heads(service)
