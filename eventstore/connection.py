"""Opening a connection, and getting one back from a server that has stopped answering.

A frozen server (or a lost network) leaves psycopg waiting: cancelling asks that very server to
help. The watchdog shuts the socket down instead, so that the driver sees its end at once. It does
not close the file descriptor, which the event loop still watches and the next connection could be
given.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from typing import Final

import psycopg
from psycopg import AsyncConnection

from .columns import register_columns
from .statements import Mode, statement

Connection = AsyncConnection[tuple[object, ...]]
Parameters = Mapping[str, object]

# Sessions are named `node <owner> <purpose>`, so that those of a node that is dead can be ended.
NOBODY: Final = "-"
CONNECT_TIMEOUT: Final = timedelta(seconds=5)
# The statement was refused for the values in it: it would be refused again. Every other error says
# nothing about them (the server is away, full, read-only, its tables or rights are being changed),
# so the same statement may succeed later: "not now".
REFUSED: Final = (psycopg.IntegrityError, psycopg.DataError)


async def connect(
    database_url: str, application_name: str, mode: Mode = "postgresql"
) -> Connection:
    """An autocommit connection that reads instants as UTC. Raises psycopg.OperationalError."""
    connection = await AsyncConnection.connect(
        database_url,
        autocommit=True,
        application_name=application_name,
        connect_timeout=int(CONNECT_TIMEOUT.total_seconds()),
    )
    register_columns(connection)
    try:
        with watchdog(connection, CONNECT_TIMEOUT):
            await connection.execute(statement("configure_session", mode))
    except BaseException:
        await connection.close()
        raise
    return connection


@contextmanager
def watchdog(connection: Connection, timeout: timedelta) -> Iterator[None]:
    """Cut the connection if the block takes longer than `timeout`; the driver then raises
    OperationalError."""
    loop = asyncio.get_running_loop()
    alarm = loop.call_later(timeout.total_seconds(), _cut, connection)
    try:
        yield
    finally:
        alarm.cancel()


def _cut(connection: Connection) -> None:
    try:
        with socket.socket(fileno=os.dup(connection.pgconn.socket)) as line:
            line.shutdown(socket.SHUT_RDWR)
    except (OSError, psycopg.OperationalError):
        # It is gone already, which is all that was wanted.
        return
