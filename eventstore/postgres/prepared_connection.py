"""A connection whose frequent statements are sent over libpq itself.

They are prepared once, their parameters are packed already (`binary_arrays`), and only a number of
rows comes back. A cursor of psycopg spends 0.3 ms on a statement, whatever is in it: more than the
rest of a small batch. Statements that are rare or return rows use a cursor all the same.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from typing import Final

from psycopg import OperationalError
from psycopg.errors import error_from_result
from psycopg.pq import ExecStatus, Format
from psycopg.pq.abc import PGresult

from .connection import Connection, Connector, wait_until_readable, wait_until_writable

_SUCCESS_STATUSES: Final = (ExecStatus.COMMAND_OK, ExecStatus.TUPLES_OK)
_PARAMETER: Final = re.compile(rb"%\((\w+)\)s")


async def open_prepared_connection(connector: Connector) -> PreparedConnection:
    """Open a connection. Raises as `connect` does."""
    return PreparedConnection(await connector.connect())


class PreparedConnection:
    """A connection for one task at a time.

    A task that is cancelled leaves a statement in flight, and must close the connection.
    """

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self._pgconn = connection.pgconn
        self._prepared: set[str] = set()

    async def execute(self, name: str, sql: bytes, parameters: Mapping[str, bytes]) -> int:
        """Execute a statement and return the number of rows changed.

        The statement declares the types of its parameters. Raises psycopg.Error.
        """
        text, names = _number_parameters(sql)
        if name not in self._prepared:
            self._pgconn.send_prepare(name.encode(), text)
            await self._read_result()
            self._prepared.add(name)
        values = [parameters[parameter] for parameter in names]
        formats = [Format.BINARY] * len(values)
        self._pgconn.send_query_prepared(name.encode(), values, formats)
        return (await self._read_result()).command_tuples or 0

    async def close(self) -> None:
        await self.connection.close()

    async def _read_result(self) -> PGresult:
        """Return the result of the statement in flight.

        A failure at the commit (a deferred constraint, a full disk) comes after the result of the
        statement itself, so every result is checked. Raises psycopg.Error.
        """
        pgconn = self._pgconn
        while pgconn.flush():
            await wait_until_writable(pgconn.socket)
        results: list[PGresult] = []
        while True:
            while pgconn.is_busy():
                await wait_until_readable(pgconn.socket)
                pgconn.consume_input()
            result = pgconn.get_result()
            if result is None:
                break
            results.append(result)
        for result in results:
            if result.status not in _SUCCESS_STATUSES:
                raise error_from_result(result)
        if not results:
            raise OperationalError("the connection ended without a result")
        return results[-1]


@cache
def _number_parameters(sql: bytes) -> tuple[bytes, list[str]]:
    """Return the statement with numbered parameters, and their names in order."""
    names = list(dict.fromkeys(_PARAMETER.findall(sql)))
    text = _PARAMETER.sub(lambda match: b"$%d" % (names.index(match[1]) + 1), sql)
    return text, [name.decode() for name in names]
