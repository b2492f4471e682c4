"""The connections that read, and that write what is not an event.

A few connections are shared; each use is bounded in time, waiting for its turn included. A
statement that meets a dead connection is tried once more on a new one, because after a restart of
the server every idle connection is dead: so only statements that may be repeated belong here.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Final, TypeVar

import psycopg
from psycopg.pq import TransactionStatus
from psycopg.rows import class_row

from .connection import NOBODY, REFUSED, Connection, Connector, Parameters, watchdog
from .errors import LogUnavailable, ValueRefused
from .statements import Mode, statement

Row = TypeVar("Row")

# The writer has its own connection; readers are short, and a small server profits from few.
MAX_CONNECTIONS: Final = 4
# Waiting longer than this for one of them means that the database does not keep up. It is less than
# clients wait for an answer: else all the work would be for those who have given up.
TURN_TIMEOUT: Final = timedelta(seconds=3)


class Readers:
    def __init__(
        self,
        database_url: str,
        statement_timeout: timedelta,
        statements: Callable[[str], bytes] = statement,
        owner: str = NOBODY,
        mode: Mode = "postgresql",
    ) -> None:
        """`statements` gives the SQL of a name; other rooms bring their own."""
        self._connector = Connector(database_url, f"node {owner} reader", mode)
        self._statements = statements
        self._statement_timeout = statement_timeout
        self._turns = asyncio.Semaphore(MAX_CONNECTIONS)
        self._idle: list[Connection] = []
        self._closed = False

    async def fetch(
        self, row: type[Row], name: str, parameters: Parameters, within: timedelta | None = None
    ) -> list[Row]:
        """Return the rows of a repeatable statement as values, each try within that time instead of
        the usual one. Raises LogUnavailable, ValueRefused."""
        cursor = await self._execute(name, parameters, row, within or self._statement_timeout)
        return await cursor.fetchall()

    async def execute(self, name: str, parameters: Parameters) -> int:
        """The number of rows that a repeatable statement changed. Raises LogUnavailable,
        ValueRefused."""
        cursor = await self._execute(name, parameters, object, self._statement_timeout)
        return cursor.rowcount

    async def close(self) -> None:
        self._closed = True
        await self.close_idle()

    async def _execute(
        self, name: str, parameters: Parameters, row: type[Row], within: timedelta
    ) -> psycopg.AsyncCursor[Row]:
        try:
            try:
                return await self._try(name, parameters, row, within)
            except REFUSED:
                raise
            except psycopg.Error:
                await self.close_idle()
            return await self._try(name, parameters, row, within)
        except REFUSED as error:
            raise ValueRefused(str(error)) from error
        except psycopg.Error as error:
            raise LogUnavailable(str(error)) from error

    async def _try(
        self, name: str, parameters: Parameters, row: type[Row], within: timedelta
    ) -> psycopg.AsyncCursor[Row]:
        async with self._turn(), self._lend(within) as connection:
            cursor = connection.cursor(binary=True, row_factory=class_row(row))
            # Past this line everything has been received: fetching asks the server nothing.
            return await cursor.execute(self._statements(name), parameters)

    @asynccontextmanager
    async def _turn(self) -> AsyncIterator[None]:
        if self._closed:
            raise LogUnavailable("closed")
        try:
            async with asyncio.timeout(TURN_TIMEOUT.total_seconds()):
                await self._turns.acquire()
        except TimeoutError as error:
            raise LogUnavailable("every connection is busy") from error
        try:
            yield
        finally:
            self._turns.release()

    @asynccontextmanager
    async def _lend(self, within: timedelta) -> AsyncIterator[Connection]:
        connection = await self._connection()
        try:
            with watchdog(connection, within):
                yield connection
        finally:
            await self._take_back(connection)

    async def _connection(self) -> Connection:
        if self._idle:
            return self._idle.pop()
        return await self._connector.connect()

    async def _take_back(self, connection: Connection) -> None:
        # A statement cut short by a cancellation may have left an answer behind.
        usable = connection.pgconn.transaction_status == TransactionStatus.IDLE
        if usable and not self._closed:
            self._idle.append(connection)
        else:
            await connection.close()

    async def close_idle(self) -> None:
        """Close the connections that nobody uses now; new ones are opened when they are needed."""
        idle, self._idle = self._idle, []
        for connection in idle:
            await connection.close()
