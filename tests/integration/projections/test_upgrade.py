"""A status table of an older release is projected again from the log."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from random import Random

import psycopg
import pytest
from saga_orchestrator.eventstore.postgres.migrations import migrate
from saga_orchestrator.projections.status_table import StatusTable
from saga_orchestrator.tests.integration.projections.random_sagas import (
    caught_up_projector,
    random_service,
    replayed_rows,
    rows,
    run_random_sagas,
)

Folders = Sequence[tuple[str, Path]]


@pytest.mark.parametrize("files", ["000[12]_*.sql", "000[123]_*.sql"])
async def test_rows_of_an_older_release_are_projected_again(
    empty_database_url: str, migration_folders: Folders, tmp_path: Path, files: str
) -> None:
    await migrate(empty_database_url, [("projections", older(migration_folders, tmp_path, files))])
    leave_a_row(empty_database_url)
    service, status_table = await random_service(3), StatusTable(empty_database_url)
    await run_random_sagas(service, Random(3), sagas=25)

    await migrate(empty_database_url, migration_folders)
    await caught_up_projector(service, status_table)

    expected_rows = await replayed_rows(service)
    assert rows(empty_database_url) == expected_rows
    assert any(row["parked"] for row in expected_rows)
    assert any(row["paused"] for row in expected_rows)
    await status_table.close()


def older(folders: Folders, tmp_path: Path, files: str) -> Path:
    """Copy the migrations before lists had a queue of parked sagas, or paused sagas."""
    for file in sorted(dict(folders)["projections"].glob(files)):
        shutil.copy(file, tmp_path)
    return tmp_path


def leave_a_row(database_url: str) -> None:
    """Insert a row of an old saga, and checkpoints that cover the whole log."""
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(
            "insert into saga_status values (gen_random_uuid(), 1, 'old', 1, '1', 'parked', true,"
            " false, null, null, 'no', '{}', 7, now(), now())"
        )
        connection.execute(
            "insert into projection_checkpoint"
            " select 'saga_status', shard_id, 1000000 from generate_series(0, 63) as shard_id"
        )
