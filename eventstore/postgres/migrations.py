"""Migrations: numbered SQL files, applied in order, once, and never edited afterwards.

Every room with tables has a folder of `NNNN_name.sql` files; a mode may have its own version of a
file in a folder below. All missing migrations are applied in one transaction, so a database is
never left half-way. Of nodes that start together one records a migration first; the others collide
with its record, and look again. A file whose content differs from what was applied is refused: the
database would not be what the code expects. Numbers that the database has and the folder lacks
belong to a newer release, and are left alone.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Final

from psycopg import errors as database

from ..errors import MigrationRefused
from .connection import Connection, connect, watchdog
from .statements import DatabaseMode, statement

MIGRATIONS: Final = Path(__file__).parent / "migrations"

# For the check whether anything is missing. Mostly nothing is, and a start must not wait as long
# for a database that does not answer as for one that is migrating.
CHECK_TIMEOUT: Final = timedelta(seconds=10)
# For all missing migrations together, on a log of any size.
MIGRATION_TIMEOUT: Final = timedelta(hours=1)
_FILE_NAME: Final = re.compile(r"(\d{4})_[a-z0-9_]+\.sql")
# Another node was faster, and has finished or failed: look again.
_CONCURRENT_MIGRATION_ERRORS: Final = (database.UniqueViolation, database.SerializationFailure)
_MAX_ATTEMPTS: Final = 10


@dataclass(frozen=True, slots=True)
class Migration:
    room: str
    number: int
    name: str
    content: bytes

    @property
    def sha256(self) -> bytes:
        return hashlib.sha256(self.content).digest()


async def migrate(
    database_url: str,
    folders: Sequence[tuple[str, Path]],
    mode: DatabaseMode = "postgresql",
    look_timeout: timedelta = CHECK_TIMEOUT,
) -> Sequence[str]:
    """Apply the missing migrations and return their names, as `room/file`.

    Raises MigrationRefused, and psycopg.Error, also if the database does not answer. Safe to
    repeat, and to call from several nodes at once.
    """
    migrations = [
        migration for room, folder in folders for migration in read_folder(room, folder, mode)
    ]
    connection = await connect(database_url, "eventstore migrations", mode)
    try:
        with watchdog(connection, look_timeout):
            if await _are_applied(connection, migrations):
                return []
        with watchdog(connection, MIGRATION_TIMEOUT):
            for _ in range(_MAX_ATTEMPTS - 1):
                with suppress(*_CONCURRENT_MIGRATION_ERRORS):
                    return await _apply_all(connection, migrations)
            return await _apply_all(connection, migrations)
    finally:
        await connection.close()


def read_folder(room: str, folder: Path, mode: DatabaseMode) -> list[Migration]:
    """Return the migrations of a room, numbered 1, 2, 3 … Raises MigrationRefused."""
    files = {file.name: file for place in (folder, folder / mode) for file in place.glob("*.sql")}
    migrations = [_read(room, files[name]) for name in sorted(files)]
    for expected, migration in enumerate(migrations, start=1):
        if migration.number != expected:
            raise MigrationRefused(room, migration.name, f"number {expected} is missing or double")
    return migrations


def _read(room: str, file: Path) -> Migration:
    match = _FILE_NAME.fullmatch(file.name)
    if match is None:
        raise MigrationRefused(room, file.name, "is not named NNNN_name.sql")
    return Migration(room, int(match[1]), file.name, file.read_bytes())


async def _are_applied(connection: Connection, migrations: Sequence[Migration]) -> bool:
    """True if no migration is missing and none was edited."""
    try:
        applied = {
            room: await _read_applied(connection, room)
            for room in {migration.room for migration in migrations}
        }
    except database.UndefinedTable:
        return False
    return all(
        applied[migration.room].get(migration.number) == migration.sha256
        for migration in migrations
    )


async def _apply_all(connection: Connection, migrations: Sequence[Migration]) -> list[str]:
    async with connection.transaction():
        await connection.execute(statement("create_migration_table"))
        return [name for migration in migrations for name in await _apply(connection, migration)]


async def _apply(connection: Connection, migration: Migration) -> list[str]:
    applied = await _read_applied(connection, migration.room)
    match applied.get(migration.number):
        case None:
            await _execute(connection, migration)
            return [f"{migration.room}/{migration.name}"]
        case sha256 if sha256 == migration.sha256:
            return []
        case _:
            reason = "was edited after it was applied"
            raise MigrationRefused(migration.room, migration.name, reason)


async def _read_applied(connection: Connection, room: str) -> Mapping[int, object]:
    cursor = await connection.execute(statement("read_migrations"), {"room": room}, binary=True)
    return {int(str(number)): sha256 for number, sha256 in await cursor.fetchall()}


async def _execute(connection: Connection, migration: Migration) -> None:
    row = {
        "room": migration.room,
        "number": migration.number,
        "name": migration.name,
        "sha256": migration.sha256,
    }
    await connection.execute(statement("insert_migration"), row)
    # Without parameters psycopg sends the text as it is, so a file may hold many statements.
    await connection.execute(migration.content)
