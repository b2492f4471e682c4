"""The connections that read, and that write everything but events.

A few connections are shared; each use is bounded in time, including the wait for a connection. A
statement that meets a dead connection is tried once more on a new one, because after a restart of
the server every idle connection is dead. So only statements that may be repeated belong here.

A part of a pool shares the connections of the pool, but uses only some of them: statements that may
be slow (lists of clients, large jobs) leave connections for those that must not wait.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from copy import copy
from datetime import timedelta
from typing import Final, TypeVar

import psycopg
from psycopg.pq import TransactionStatus
from psycopg.rows import class_row

from ..errors import LogUnavailable, ValueRefused
from .connection import NO_OWNER, VALUE_ERRORS, Connection, Connector, Parameters, watchdog
from .refusals import Refusals, describe_error
from .statements import DatabaseMode, statement

Row = TypeVar("Row")

# The writer has its own connection; reads are short, and a small server profits from few.
MAX_CONNECTIONS: Final = 4
# A longer wait for a connection means that the database does not keep up. This is less than clients
# wait for an answer: else all the work would be for clients that have given up.
ACQUIRE_TIMEOUT: Final = timedelta(seconds=3)
_CONNECTION_LOST: Final = (
    "08",
    "57P",
)  # connection exceptions, shutdowns; an error without a code is one too


class ReaderPool:
    """A bounded pool of connections for statements that may be repeated."""

    def __init__(
        self,
        database_url: str,
        statement_timeout: timedelta,
        statements: Callable[[str], bytes] = statement,
        owner: str = NO_OWNER,
        mode: DatabaseMode = "postgresql",
        *,
        most: int = MAX_CONNECTIONS,
        refusals: Refusals | None = None,
    ) -> None:
        """Make an empty pool of at most `most` connections.

        `statements` returns the SQL of a name; other rooms have their own.
        """
        assert most >= 1
        self._connections = _Connections(Connector(database_url, f"node {owner} reader", mode))
        self._statements = statements
        self._statement_timeout = statement_timeout
        self._refusals = Refusals() if refusals is None else refusals
        self._slots: tuple[asyncio.Semaphore, ...] = (asyncio.Semaphore(most),)

    def part(self, most: int, statements: Callable[[str], bytes] | None = None) -> ReaderPool:
        """Return readers over the same connections that use at most `most` of them at a time.

        However slow their statements are, the other connections are left for other uses.
        """
        assert most >= 1
        part = copy(self)
        part._slots = (asyncio.Semaphore(most), *self._slots)
        part._statements = statements or self._statements
        return part

    async def fetch(
        self, row: type[Row], name: str, parameters: Parameters, within: timedelta | None = None
    ) -> list[Row]:
        """Return the rows of a repeatable statement as values.

        Each of the two tries is limited to `within` instead of the usual time. Raises
        LogUnavailable, ValueRefused.
        """
        cursor = await self._execute(name, parameters, row, within or self._statement_timeout)
        return await cursor.fetchall()

    async def execute(self, name: str, parameters: Parameters) -> int:
        """Return the number of rows that a repeatable statement changed.

        Raises LogUnavailable, ValueRefused.
        """
        cursor = await self._execute(name, parameters, object, self._statement_timeout)
        return cursor.rowcount

    async def open(self) -> None:
        """Open the first connection, so that there is one to wait for. Raises psycopg.Error."""
        async with self._connections.borrow(self._statement_timeout):
            pass

    async def close(self) -> None:
        await self._connections.close()

    async def close_idle(self) -> None:
        """Close the connections that no task uses now. New ones are opened when needed."""
        await self._connections.close_idle()

    async def _execute(
        self, name: str, parameters: Parameters, row: type[Row], within: timedelta
    ) -> psycopg.AsyncCursor[Row]:
        try:
            try:
                return await self._execute_once(name, parameters, row, within)
            except VALUE_ERRORS:
                raise
            except psycopg.Error as error:
                # If one connection is lost, all idle ones may be. Otherwise the connection stays
                # open: a server at its limit might not allow another.
                lost = (error.sqlstate or _CONNECTION_LOST[0]).startswith(_CONNECTION_LOST)
                return await self._execute_once(name, parameters, row, within, fresh=lost)
        except VALUE_ERRORS as error:
            raise ValueRefused(str(error)) from error
        except psycopg.Error as error:
            self._refusals.record(name, error)
            raise LogUnavailable(describe_error(error)) from error
        except OSError as error:  # no descriptor is left
            raise LogUnavailable(str(error)) from error

    async def _execute_once(
        self,
        name: str,
        parameters: Parameters,
        row: type[Row],
        within: timedelta,
        *,
        fresh: bool = False,
    ) -> psycopg.AsyncCursor[Row]:
        async with self._slot(), self._connections.borrow(within, fresh=fresh) as connection:
            cursor = connection.cursor(binary=True, row_factory=class_row(row))
            # After this line every row has been received: fetching does not wait for the server.
            await cursor.execute(self._statements(name), parameters)
            self._refusals.clear(name)
            return cursor

    @asynccontextmanager
    async def _slot(self) -> AsyncIterator[None]:
        """Hold a slot of the part, and of the pool, both acquired within one timeout."""
        if self._connections.closed:
            raise LogUnavailable("closed")
        async with AsyncExitStack() as held:
            try:
                async with asyncio.timeout(ACQUIRE_TIMEOUT.total_seconds()):
                    for slots in self._slots:
                        await held.enter_async_context(slots)
            except TimeoutError as error:
                raise LogUnavailable("every connection is busy") from error
            yield


class _Connections:
    """The connections of a pool: those that are idle, and how many are borrowed."""

    def __init__(self, connector: Connector) -> None:
        self._connector = connector
        self._idle: list[Connection] = []
        self._borrowed = 0
        self._returned = asyncio.Condition()
        self.closed = False

    @asynccontextmanager
    async def borrow(self, within: timedelta, *, fresh: bool = False) -> AsyncIterator[Connection]:
        if fresh:
            await self.close_idle()
        connection = await self._idle_or_new()
        self._borrowed += 1
        try:
            with watchdog(connection, within):
                yield connection
        finally:
            self._borrowed -= 1
            await self._return(connection)

    async def close(self) -> None:
        self.closed = True
        await self.close_idle()

    async def close_idle(self) -> None:
        idle, self._idle = self._idle, []
        for connection in idle:
            await connection.close()

    async def _idle_or_new(self) -> Connection:
        if self._idle:
            return self._idle.pop()
        try:
            return await self._connector.connect()
        except psycopg.OperationalError:
            # The server may allow no more connections than there are.
            if (connection := await self._wait_for_returned()) is None:
                raise
            return connection

    async def _wait_for_returned(self) -> Connection | None:
        """Return a connection that another task returns in time, or None."""
        with suppress(TimeoutError):
            async with asyncio.timeout(ACQUIRE_TIMEOUT.total_seconds()), self._returned:
                await self._returned.wait_for(lambda: self._idle or not self._borrowed)
        return self._idle.pop() if self._idle else None

    async def _return(self, connection: Connection) -> None:
        # A cancelled statement may have left an answer behind.
        usable = connection.pgconn.transaction_status == TransactionStatus.IDLE
        if usable and not self.closed:
            self._idle.append(connection)
        else:
            await connection.close()
        async with self._returned:
            self._returned.notify_all()
