"""Requirements of a database that are checked before a node starts on it."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

import psycopg
from psycopg.rows import class_row

from ..errors import UnsuitableDatabase
from .connection import CONNECT_TIMEOUT, Connection, connect, watchdog
from .refusals import SHARED_SESSIONS
from .statements import DatabaseMode, statement

logger = logging.getLogger(__name__)

# The log's writer, the heartbeat, the status table, and one for each of four groups of readers.
MIN_CONNECTIONS: Final = 7
# Not every system has session settings with names of one's own.
_UNSUPPORTED_ERRORS: Final[Mapping[DatabaseMode, tuple[type[psycopg.Error], ...]]] = {
    "postgresql": (),
    "portable": (psycopg.ProgrammingError, psycopg.NotSupportedError),
}


@dataclass(frozen=True, slots=True)
class _Limits:
    allowed: int | None


async def require_suitable_database(
    database_url: str, mode: DatabaseMode, connections: int
) -> None:
    """Raise UnsuitableDatabase, with what to change, if a node cannot work on the database.

    Logs a warning if the node can open fewer than `connections`.
    """
    name = "eventstore requirements"
    async with await connect(database_url, name, mode) as connection:
        _require_unicode(connection)
        with watchdog(connection, CONNECT_TIMEOUT):
            await _require_writes(connection)
            if mode == "postgresql":
                await _require_connections(connection, connections)
            async with await connect(database_url, name, mode) as other:
                with watchdog(other, CONNECT_TIMEOUT), suppress(*_UNSUPPORTED_ERRORS[mode]):
                    await _require_own_session(connection, other)


def _require_unicode(connection: Connection) -> None:
    encoding = connection.info.parameter_status("server_encoding")
    if encoding not in ("UTF8", None):  # a system that is not PostgreSQL may say nothing
        raise UnsuitableDatabase(
            f"its encoding is {encoding}, which cannot keep every text: create one with UTF8"
        )


async def _require_writes(connection: Connection) -> None:
    cursor = await connection.execute(statement("ping"))
    ((read_only,),) = await cursor.fetchall()
    if read_only:
        raise UnsuitableDatabase(
            "it takes no writes: let it lead to the primary, or remove the read-only setting"
        )


async def _require_own_session(connection: Connection, other: Connection) -> None:
    """Raise UnsuitableDatabase if a session setting of one connection is visible in another."""
    token = secrets.token_hex(8)
    await connection.execute(statement("mark_session"), {"token": token})
    async with other.transaction():
        cursor = await other.execute(statement("read_session_mark"))
        ((mark,),) = await cursor.fetchall()
    if mark == token:
        raise UnsuitableDatabase(SHARED_SESSIONS)


async def _require_connections(connection: Connection, connections: int) -> None:
    cursor = connection.cursor(row_factory=class_row(_Limits))
    await cursor.execute(statement("read_connection_limit"))
    (limits,) = await cursor.fetchall()
    if limits.allowed is None or limits.allowed >= connections:
        return
    if limits.allowed < MIN_CONNECTIONS:
        raise UnsuitableDatabase(
            f"it allows this user {limits.allowed} connections, and a node needs"
            f" {MIN_CONNECTIONS} at least: raise max_connections or the limit of the user"
        )
    facts = {"allowed": limits.allowed, "wanted": connections}
    logger.warning(
        "the database allows fewer connections than this node may open: raise its limit, or let the"
        " node open fewer (README, Settings)",
        extra=facts,
    )
