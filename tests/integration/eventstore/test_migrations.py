"""Migrations are applied once, in order, and never edited."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest
from saga_orchestrator.eventstore.errors import MigrationRefused
from saga_orchestrator.eventstore.postgres.migrations import MIGRATIONS, migrate

ALL = [f"eventstore/{path.name}" for path in sorted(MIGRATIONS.glob("*.sql"))]


def write(folder: Path, **files: str) -> Path:
    folder.mkdir(exist_ok=True)
    for name, content in files.items():
        (folder / f"{name.removeprefix('n')}.sql").write_text(content)
    return folder


def tables(url: str) -> set[str]:
    with psycopg.connect(url) as connection:
        rows = connection.execute("select tablename from pg_tables where schemaname = 'public'")
        return {name for (name,) in rows}


async def test_missing_migrations_are_applied_once(empty_database_url: str) -> None:
    first = await migrate(empty_database_url, [("eventstore", MIGRATIONS)])
    second = await migrate(empty_database_url, [("eventstore", MIGRATIONS)])

    assert first == ALL
    assert second == []
    assert {"event", "stream_key", "document", "migration"} <= tables(empty_database_url)


async def test_nodes_that_start_together_apply_everything_once(empty_database_url: str) -> None:
    applied = await asyncio.gather(
        *(migrate(empty_database_url, [("eventstore", MIGRATIONS)]) for _ in range(5))
    )

    assert sorted(map(list, applied)) == [[], [], [], [], ALL]


async def test_each_room_counts_its_own_migrations(empty_database_url: str, tmp_path: Path) -> None:
    first = write(tmp_path / "one", n0001_a="create table a ()", n0002_b="create table b ()")
    second = write(tmp_path / "two", n0001_c="create table c (x text default '%'); select 1")

    applied = await migrate(empty_database_url, [("one", first), ("two", second)])

    assert applied == ["one/0001_a.sql", "one/0002_b.sql", "two/0001_c.sql"]
    assert tables(empty_database_url) == {"a", "b", "c", "migration"}


async def test_an_edited_migration_is_refused(empty_database_url: str, tmp_path: Path) -> None:
    folder = write(tmp_path / "room", n0001_a="create table a ()")
    await migrate(empty_database_url, [("room", folder)])
    write(folder, n0001_a="create table a (b text)", n0002_b="create table b ()")

    with pytest.raises(MigrationRefused, match="edited") as refusal:
        await migrate(empty_database_url, [("room", folder)])

    assert (refusal.value.room, refusal.value.name) == ("room", "0001_a.sql")
    assert "b" not in tables(empty_database_url)


async def test_a_failing_migration_leaves_nothing_behind(
    empty_database_url: str, tmp_path: Path
) -> None:
    folder = write(tmp_path / "room", n0001_a="create table a ()", n0002_b="create tabel b ()")

    with pytest.raises(psycopg.errors.SyntaxError):
        await migrate(empty_database_url, [("room", folder)])

    assert tables(empty_database_url) == set()


@pytest.mark.parametrize("name", ["n0002_gap", "n1_short", "n0001_Big", "n0001"])
async def test_a_badly_numbered_migration_is_refused(
    empty_database_url: str, tmp_path: Path, name: str
) -> None:
    folder = write(tmp_path / "room", **{name: "select 1"})

    with pytest.raises(MigrationRefused):
        await migrate(empty_database_url, [("room", folder)])


async def test_a_migration_of_a_newer_release_is_left_alone(
    empty_database_url: str, tmp_path: Path
) -> None:
    newer = write(tmp_path / "newer", n0001_a="create table a ()", n0002_b="create table b ()")
    older = write(tmp_path / "older", n0001_a="create table a ()")
    await migrate(empty_database_url, [("room", newer)])

    assert await migrate(empty_database_url, [("room", older)]) == []


async def test_a_database_that_does_not_answer_is_not_waited_for(empty_database_url: str) -> None:
    """This is the check for missing migrations. Applying them may take longer."""
    folders = [("eventstore", MIGRATIONS)]
    await migrate(empty_database_url, folders)
    with psycopg.connect(empty_database_url) as another:
        another.execute("lock table migration in access exclusive mode")

        with pytest.raises(psycopg.OperationalError):
            async with asyncio.timeout(10):
                await migrate(empty_database_url, folders, look_timeout=timedelta(seconds=0.2))

    assert await migrate(empty_database_url, folders) == []
