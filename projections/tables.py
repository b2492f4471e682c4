"""The tables of the projections, over one connection that is opened anew when it was lost."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta

import psycopg

from ..eventstore import SHARDS
from ..eventstore.columns import int4s, int8s
from ..eventstore.connection import NOBODY, Connection, connect, watchdog
from ..fsm.saga import Saga
from .row import columns
from .statements import statement

PROJECTION = "saga_status"
SHORT = timedelta(seconds=10)  # for a statement; a server that takes longer is frozen
LONG = timedelta(hours=1)  # for a rebuild
ROWS_A_STATEMENT = 1000


@dataclass(frozen=True, slots=True)
class Waiting:
    """A saga that does not rest. One that is idle only waits, at the latest until `wake_at`."""

    saga_id: str
    is_idle: bool
    wake_at: datetime | None


class Overtaken(Exception):
    """Somebody else has moved the checkpoint."""


class Tables:
    """Raises psycopg.OperationalError when the database is away."""

    def __init__(self, database_url: str, *, owner: str = NOBODY) -> None:
        self.database_url, self.owner = database_url, owner
        self._connection: Connection | None = None
        self._turn = asyncio.Lock()

    async def checkpoints(self) -> dict[int, int]:
        """The seq of each shard that has been folded."""
        parameters = {"projection": PROJECTION, "shard_id": int4s(range(SHARDS))}
        async with self._transaction(SHORT) as connection:
            await connection.execute(statement("create_checkpoints"), parameters)
            cursor = await connection.execute(statement("read_checkpoints"), parameters)
            rows = await cursor.fetchall()
        return {int(str(shard_id)): int(str(seq)) for shard_id, seq in rows}

    async def write(
        self, sagas: Sequence[Saga], before: Mapping[int, int], after: Mapping[int, int]
    ) -> None:
        """Rows and checkpoints together, or nothing. Raises Overtaken."""
        async with self._transaction(SHORT) as connection:
            await _advance(connection, before, after)
            await _upsert(connection, sagas)

    async def unfinished(self, shard_ids: Sequence[int]) -> list[Waiting]:
        parameters = {"shard_ids": int4s(shard_ids)}
        async with self._transaction(SHORT) as connection:
            cursor = await connection.execute(statement("read_unfinished"), parameters)
            rows = await cursor.fetchall()
        return [_waiting(*row) for row in rows]

    @asynccontextmanager
    async def rebuilding(self) -> AsyncIterator[Rebuild]:
        """Nobody sees the emptied table: it is filled again in the same transaction."""
        async with self._transaction(LONG) as connection:
            await connection.execute(statement("reset_checkpoints"), {"projection": PROJECTION})
            await connection.execute(statement("delete_saga_status"))
            yield Rebuild(connection)

    async def close(self) -> None:
        if self._connection:
            await self._connection.close()
            self._connection = None

    @asynccontextmanager
    async def _transaction(self, limit: timedelta) -> AsyncIterator[Connection]:
        async with self._turn:
            if self._connection is None or self._connection.closed:
                name = f"node {self.owner} projections"
                self._connection = await connect(self.database_url, name)
            try:
                with watchdog(self._connection, limit):
                    async with self._connection.transaction():
                        yield self._connection
            except psycopg.OperationalError:
                await self.close()
                raise


def _waiting(saga_id: object, idle: object, wake_at: object) -> Waiting:
    assert wake_at is None or isinstance(wake_at, datetime)
    return Waiting(str(saga_id), bool(idle), wake_at)


class Rebuild:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def write(self, sagas: Sequence[Saga]) -> None:
        await _upsert(self._connection, sagas)

    async def reach(self, shard_id: int, seq: int) -> None:
        await _advance(self._connection, {shard_id: 0}, {shard_id: seq})


async def _advance(
    connection: Connection, before: Mapping[int, int], after: Mapping[int, int]
) -> None:
    moved = [shard_id for shard_id in after if after[shard_id] != before[shard_id]]
    parameters = {
        "projection": PROJECTION,
        "shard_id": int4s(moved),
        "before": int8s([before[shard_id] for shard_id in moved]),
        "seq": int8s([after[shard_id] for shard_id in moved]),
    }
    cursor = await connection.execute(statement("advance_checkpoints"), parameters)
    if cursor.rowcount != len(moved):
        raise Overtaken


async def _upsert(connection: Connection, sagas: Sequence[Saga]) -> None:
    for start in range(0, len(sagas), ROWS_A_STATEMENT):
        rows = columns(sagas[start : start + ROWS_A_STATEMENT])
        await connection.execute(statement("upsert_saga_status"), rows)
