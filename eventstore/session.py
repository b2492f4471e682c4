"""The writer's connection: one statement at a time, sent again until the database has said
something certain.

After a lost connection, a restarted server, a full disk or a watchdog's cut nobody knows whether
the statement was executed, so it is sent again, unchanged, on a new connection. That is safe
because the writer's statements either change nothing or can land only once. Only closing ends the
attempts.
"""

from __future__ import annotations

import asyncio
import logging
from datetime import timedelta
from typing import Final, NamedTuple

import psycopg
from psycopg import errors

from .connection import Connection, Parameters, connect, watchdog
from .errors import LogUnavailable
from .statements import statement

logger = logging.getLogger(__name__)

LOCK_TIMEOUT: Final = timedelta(seconds=2)
FIRST_WAIT: Final = timedelta(milliseconds=50)
LONGEST_WAIT: Final = timedelta(seconds=2)

# The statement was refused for what it says: sending it again would be refused again.
_CERTAIN: Final = (psycopg.IntegrityError, psycopg.DataError)
_CERTAIN_OR_LOCKED: Final = (*_CERTAIN, errors.LockNotAvailable)


class Answer(NamedTuple):
    rows: list[tuple[object, ...]]
    row_count: int


class Session:
    def __init__(self, database_url: str, statement_timeout: timedelta) -> None:
        self._database_url = database_url
        self._statement_timeout = statement_timeout
        self._connection: Connection | None = None
        self._closing = asyncio.Event()
        self._asking_since: float | None = None

    @property
    def stalled_for(self) -> timedelta | None:
        """How long the statement under way has been without an answer; None if there is none."""
        if self._asking_since is None:
            return None
        return timedelta(seconds=asyncio.get_running_loop().time() - self._asking_since)

    async def run(
        self, name: str, parameters: Parameters, *, wait_for_locks: bool = True
    ) -> Answer:
        """The certain answer to a statement.

        Raises psycopg's IntegrityError and DataError, and LockNotAvailable for a caller who does
        not wait for locks; LogUnavailable when there is no answer and the session is closing.
        """
        self._asking_since = asyncio.get_running_loop().time()
        try:
            return await self._insist(
                name, parameters, _CERTAIN if wait_for_locks else _CERTAIN_OR_LOCKED
            )
        finally:
            self._asking_since = None

    def stop_trying(self) -> None:
        """From now on a statement without an answer is given up."""
        self._closing.set()

    async def close(self) -> None:
        self.stop_trying()
        await self._disconnect()

    async def _insist(
        self, name: str, parameters: Parameters, certain: tuple[type[psycopg.Error], ...]
    ) -> Answer:
        wait = FIRST_WAIT
        while True:
            try:
                return await self._attempt(name, parameters)
            except certain:
                raise
            except (psycopg.Error, OSError) as error:
                await self._fail(name, error, wait)
                wait = min(wait * 2, LONGEST_WAIT)

    async def _attempt(self, name: str, parameters: Parameters) -> Answer:
        connection = self._connection or await self._open()
        with watchdog(connection, self._statement_timeout):
            cursor = connection.cursor(binary=True)
            await cursor.execute(statement(name), parameters, prepare=True)
            rows = await cursor.fetchall() if cursor.description else []
            return Answer(rows, cursor.rowcount)

    async def _open(self) -> Connection:
        self._connection = await connect(self._database_url, "eventstore writer")
        lock_timeout = f"{LOCK_TIMEOUT // timedelta(milliseconds=1)}ms"
        with watchdog(self._connection, self._statement_timeout):
            await self._connection.execute(
                statement("configure_writer"), {"lock_timeout": lock_timeout}
            )
        return self._connection

    async def _fail(self, name: str, error: Exception, wait: timedelta) -> None:
        facts = {
            "statement": name,
            "error": str(error),
            "wait_ms": wait / timedelta(milliseconds=1),
        }
        logger.warning("no certain answer from the database", extra=facts)
        await self._disconnect()
        await self._pause(wait)

    async def _pause(self, wait: timedelta) -> None:
        try:
            async with asyncio.timeout(wait.total_seconds()):
                await self._closing.wait()
        except TimeoutError:
            return
        raise LogUnavailable("closing without an answer from the database")

    async def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.close()
