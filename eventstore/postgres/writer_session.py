"""The writer's connection: one statement at a time, sent again until its result is certain.

After a lost connection, a restarted server, a full disk or a cut by the watchdog it is unknown
whether the statement was executed, so it is sent again, unchanged, on a new connection. That is
safe because the writer's statements either change nothing or take effect only once. Only closing
ends the attempts.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from typing import Final, TypeVar

import psycopg
from psycopg import errors

from ..errors import LogUnavailable
from .connection import VALUE_ERRORS, Connector, Parameters, watchdog
from .prepared_connection import PreparedConnection, open_prepared_connection
from .refusals import Refusals, describe_error
from .statements import DatabaseMode, statement

logger = logging.getLogger(__name__)

LOCK_TIMEOUT: Final = timedelta(seconds=2)
INITIAL_RETRY_DELAY: Final = timedelta(milliseconds=50)
MAX_RETRY_DELAY: Final = timedelta(seconds=2)

_VALUE_ERRORS_OR_LOCKED: Final = (*VALUE_ERRORS, errors.LockNotAvailable)


Rows = list[tuple[object, ...]]
Result = TypeVar("Result")


class WriterSession:
    """A connection that is opened again as often as it is lost."""

    def __init__(
        self,
        database_url: str,
        statement_timeout: timedelta,
        owner: str,
        mode: DatabaseMode,
        refusals: Refusals,
    ) -> None:
        self._refusals = refusals
        self._connector = Connector(database_url, f"node {owner} writer", mode)
        self._mode: DatabaseMode = mode
        self._statement_timeout = statement_timeout
        self._connection: PreparedConnection | None = None
        self._loop = asyncio.get_running_loop()
        self._closing = asyncio.Event()
        self._waiting_since: float | None = None

    @property
    def stalled_for(self) -> timedelta | None:
        """The time for which the current statement has been without an answer; None if there is
        none."""
        if self._waiting_since is None:
            return None
        return timedelta(seconds=self._loop.time() - self._waiting_since)

    async def fetch(self, name: str, parameters: Parameters) -> Rows:
        """Return the rows of a statement.

        Raises psycopg's IntegrityError and DataError; LogUnavailable if there is no answer and the
        session is closing.
        """

        async def attempt(connection: PreparedConnection) -> Rows:
            cursor = connection.connection.cursor(binary=True)
            await cursor.execute(statement(name, self._mode), parameters, prepare=True)
            return await cursor.fetchall()

        return await self._retry_until_certain(name, attempt, VALUE_ERRORS)

    async def execute(
        self, name: str, parameters: Mapping[str, bytes], *, wait_for_locks: bool = True
    ) -> int:
        """Return the number of rows that a statement changed.

        Raises as `fetch`, and LockNotAvailable for a caller that does not wait for locks.
        """

        def attempt(connection: PreparedConnection) -> Awaitable[int]:
            return connection.execute(name, statement(name), parameters)

        certain = VALUE_ERRORS if wait_for_locks else _VALUE_ERRORS_OR_LOCKED
        return await self._retry_until_certain(name, attempt, certain)

    async def close_idle(self) -> None:
        """Close the connection unless a statement uses it. The next statement opens another."""
        if self._waiting_since is None:
            await self._disconnect()

    def stop_retrying(self) -> None:
        """Give up statements without an answer from now on."""
        self._closing.set()

    async def close(self) -> None:
        self.stop_retrying()
        await self._disconnect()

    async def _retry_until_certain(
        self,
        name: str,
        attempt: Callable[[PreparedConnection], Awaitable[Result]],
        certain: tuple[type[psycopg.Error], ...],
    ) -> Result:
        delay = INITIAL_RETRY_DELAY
        self._waiting_since = self._loop.time()
        try:
            while True:
                try:
                    connection = self._connection or await self._connect()
                    with watchdog(connection.connection, self._statement_timeout):
                        result = await attempt(connection)
                    self._refusals.clear(name)
                    return result
                except certain:
                    self._refusals.clear(name)
                    raise
                except (psycopg.Error, OSError) as error:
                    await self._handle_failure(name, error, delay)
                    delay = min(delay * 2, MAX_RETRY_DELAY)
        finally:
            self._waiting_since = None

    async def _connect(self) -> PreparedConnection:
        connection = await open_prepared_connection(self._connector)
        self._connection = connection
        lock_timeout = f"{LOCK_TIMEOUT // timedelta(milliseconds=1)}ms"
        with watchdog(connection.connection, self._statement_timeout):
            configure = statement("configure_writer", self._mode)
            await connection.connection.execute(configure, {"lock_timeout": lock_timeout})
        return connection

    async def _handle_failure(self, name: str, error: Exception, delay: timedelta) -> None:
        if isinstance(error, psycopg.Error):
            self._refusals.record(name, error)
        facts = {
            "statement": name,
            "error": describe_error(error),
            "wait_ms": delay / timedelta(milliseconds=1),
        }
        logger.warning("no certain answer from the database", extra=facts)
        await self._disconnect()
        await self._wait_before_retry(delay)

    async def _wait_before_retry(self, delay: timedelta) -> None:
        try:
            async with asyncio.timeout(delay.total_seconds()):
                await self._closing.wait()
        except TimeoutError:
            return
        raise LogUnavailable("closing without an answer from the database")

    async def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.close()
