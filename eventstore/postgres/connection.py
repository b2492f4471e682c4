"""Connections to PostgreSQL, with a time limit that holds even if the server is frozen.

A frozen server (or a lost network) leaves psycopg waiting: a cancellation needs the help of that
very server. The watchdog shuts the socket down instead, so that psycopg sees its end at once. It
does not close the file descriptor, which the event loop still watches and which the next
connection could be given.

A network that drops a connection (NAT, a firewall, a failover) does so silently. The server then
keeps the session, and with it what the same process needs again: an advisory lock, an undecided
row. So a `Connector` ends the sessions of the connections that it has lost.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

import psycopg
from psycopg import AsyncConnection
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.rows import class_row

from .addresses import DatabaseAddresses
from .binary_arrays import register_array_types
from .statements import DatabaseMode, statement

logger = logging.getLogger(__name__)

Connection = AsyncConnection[tuple[object, ...]]
Parameters = Mapping[str, object]

# Sessions are named `node <owner> <purpose>`, so that those of a dead node can be ended.
NO_OWNER: Final = "-"
CONNECT_TIMEOUT: Final = timedelta(seconds=5)
# A server that does not acknowledge what is sent is noticed after this, unless the URL says more.
KEEPALIVE_PARAMETERS: Final[dict[str, int | str | None]] = {
    "keepalives_idle": 10,  # seconds
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 25_000,  # milliseconds
}
# The statement was refused for the values in it, and would be refused again. Every other error has
# another cause (the server is away, full, read-only, its tables or rights are being changed), so
# the same statement may succeed later.
VALUE_ERRORS: Final = (psycopg.IntegrityError, psycopg.DataError)


class Connector:
    """Opens the connections of one purpose, all under one name."""

    def __init__(
        self, database_url: str, application_name: str, mode: DatabaseMode = "postgresql"
    ) -> None:
        self._database_url, self._name, self._mode = database_url, application_name, mode
        self._sessions: dict[Connection, _ServerSession] = {}

    async def connect(self) -> Connection:
        """Open a connection as `connect` does, and end the lost sessions of earlier ones."""
        connection = await connect(self._database_url, self._name, self._mode)
        if self._mode == "portable":
            return connection
        try:
            with watchdog(connection, CONNECT_TIMEOUT):
                await self._end_lost_sessions(connection)
                self._sessions[connection] = await _identify_session(connection)
        except BaseException:
            await connection.close()
            raise
        return connection

    async def _end_lost_sessions(self, connection: Connection) -> None:
        lost = {closed: session for closed, session in self._sessions.items() if closed.closed}
        if not lost:
            return
        parameters = {
            "pids": [session.pid for session in lost.values()],
            "started": [session.started for session in lost.values()],
        }
        try:
            await connection.execute(statement("end_lost_sessions", self._mode), parameters)
        except psycopg.errors.InsufficientPrivilege as error:
            logger.warning("lost sessions are not ended", extra={"error": str(error)})
        for closed in lost:
            self._sessions.pop(
                closed, None
            )  # a connection opened at the same time may have ended it


@dataclass(frozen=True, slots=True)
class _ServerSession:
    pid: int
    started: str


async def _identify_session(connection: Connection) -> _ServerSession:
    cursor = connection.cursor(row_factory=class_row(_ServerSession))
    await cursor.execute(statement("identify_session"))
    (session,) = await cursor.fetchall()
    return session


async def connect(
    database_url: str, application_name: str, mode: DatabaseMode = "postgresql"
) -> Connection:
    """Open an autocommit connection that reads instants as UTC. Raises psycopg.OperationalError."""
    parameters = KEEPALIVE_PARAMETERS | conninfo_to_dict(database_url)
    parameters |= await DatabaseAddresses.of_running_loop().connection_parameters(parameters)
    connection = await AsyncConnection.connect(
        make_conninfo("", **parameters),
        autocommit=True,
        application_name=application_name,
        client_encoding="UTF8",
        connect_timeout=int(CONNECT_TIMEOUT.total_seconds()),
    )
    register_array_types(connection)
    try:
        with watchdog(connection, CONNECT_TIMEOUT):
            await connection.execute(statement("configure_session", mode))
    except BaseException:
        await connection.close()
        raise
    return connection


@contextmanager
def watchdog(connection: Connection, timeout: timedelta) -> Iterator[None]:
    """Cut the connection if the block takes longer than `timeout`.

    psycopg then raises OperationalError.
    """
    loop = asyncio.get_running_loop()
    alarm = loop.call_later(timeout.total_seconds(), _shut_down_socket, connection)
    try:
        yield
    finally:
        alarm.cancel()


def _shut_down_socket(connection: Connection) -> None:
    try:
        with socket.socket(fileno=os.dup(connection.pgconn.socket)) as duplicate:
            duplicate.shutdown(socket.SHUT_RDWR)
    except (OSError, psycopg.OperationalError):
        # The connection is gone already.
        return


async def wait_until_readable(socket: int) -> None:
    loop = asyncio.get_running_loop()
    ready: asyncio.Future[None] = loop.create_future()
    loop.add_reader(socket, _set_done, ready)
    try:
        await ready
    finally:
        loop.remove_reader(socket)


async def wait_until_writable(socket: int) -> None:
    loop = asyncio.get_running_loop()
    ready: asyncio.Future[None] = loop.create_future()
    loop.add_writer(socket, _set_done, ready)
    try:
        await ready
    finally:
        loop.remove_writer(socket)


def _set_done(ready: asyncio.Future[None]) -> None:
    # The loop may report a socket again before the waiting task has run.
    if not ready.done():
        ready.set_result(None)
