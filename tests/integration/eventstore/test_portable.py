"""The portable mode: concurrent migrations, serialization failures, append-only by rights alone."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

import psycopg
import pytest
from psycopg.errors import InsufficientPrivilege
from saga_orchestrator.eventstore.errors import LogUnavailable, MigrationRefused
from saga_orchestrator.eventstore.event_log import PutResult
from saga_orchestrator.eventstore.postgres import statements
from saga_orchestrator.eventstore.postgres.event_log import PostgresLog
from saga_orchestrator.eventstore.postgres.migrations import migrate
from saga_orchestrator.tests.support.event_builders import NOON, make_event, make_stream_id

Folders = Sequence[tuple[str, Path]]


async def test_nodes_that_start_together_apply_everything_once(
    empty_database_url: str, migration_folders: Folders
) -> None:
    applied = await asyncio.gather(
        *(migrate(empty_database_url, migration_folders, "portable") for _ in range(5))
    )

    assert sorted(map(len, applied)) == [0, 0, 0, 0, 9]


async def test_a_database_stays_in_the_mode_that_it_was_made_in(
    database_url: str, migration_folders: Folders
) -> None:
    with pytest.raises(MigrationRefused, match="edited"):
        await migrate(database_url, migration_folders, "portable")


def test_statement_of_postgresql_alone_is_missing_in_portable_mode() -> None:
    with pytest.raises(FileNotFoundError):
        statements.statement("hold_liveness_lock", "portable")


@pytest.mark.parametrize("change", ["update event set payload = ''", "delete from document"])
def test_no_role_has_the_right_to_change_recorded_events(
    portable_database_url: str, change: str
) -> None:
    with (
        psycopg.connect(portable_database_url) as connection,
        pytest.raises(InsufficientPrivilege),
    ):
        connection.execute(change.encode())


def refuse_the_first(database_url: str, inserts: int, table: str) -> None:
    """Refuse the first inserts into a table with 40001, as a serializable system does."""
    with psycopg.connect(database_url) as connection:
        connection.execute("create sequence insert_number")
        connection.execute(
            f"""
            create function refuse_the_first() returns trigger language plpgsql as $$
            begin
              if nextval('insert_number') <= {inserts} then
                raise exception 'please try again' using errcode = 'serialization_failure';
              end if;
              return null;
            end
            $$;
            create trigger refuse_the_first before insert on {table}
              for each statement execute function refuse_the_first()
            """.encode()
        )


async def test_an_append_that_is_refused_as_not_serializable_is_sent_again(
    database_url: str,
) -> None:
    log = PostgresLog(database_url, mode="portable")
    await log.claim([1], recorded_at=NOON)
    refuse_the_first(database_url, 2, "event")

    recorded = await log.append(make_stream_id(1), 0, [make_event()])

    assert [event.version for event in recorded] == [1]
    assert list(await log.read_stream(make_stream_id(1))) == list(recorded)
    assert log.stalled_for is None
    await log.close()


async def test_write_beside_the_log_is_repeated_once_and_then_refused_for_now(
    database_url: str,
) -> None:
    log = PostgresLog(database_url, mode="portable")
    refuse_the_first(database_url, 3, "document")

    with pytest.raises(LogUnavailable, match="please try again"):
        await log.put_document("definition", "order", 1, b"one", put_at=NOON)
    put = await log.put_document("definition", "order", 1, b"one", put_at=NOON)

    assert put is PutResult.CREATED
    await log.close()
