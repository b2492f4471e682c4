"""The tables of the projections, over one connection that is opened anew when it was lost."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeVar

import psycopg

from ..eventstore import SHARDS, Mode, Refusals
from ..eventstore.columns import int4s, int8s
from ..eventstore.connection import NOBODY, REFUSED, Connection, Connector, watchdog
from ..eventstore.line import Line, open_line
from ..fsm.saga import Saga
from .row import columns
from .statements import statement

Result = TypeVar("Result")

PROJECTION = "saga_status"
SHORT = timedelta(seconds=10)  # for a statement; a server that takes longer is frozen
LONG = timedelta(hours=1)  # for a rebuild
ROWS_A_STATEMENT = 1000
COMPARED = "checkpoint_is_not_negative"  # what a checkpoint that has been moved meets


@dataclass(frozen=True, slots=True)
class Waiting:
    """A saga that does not rest. One that is idle only waits, at the latest until `wake_at`."""

    saga_id: str
    is_idle: bool
    wake_at: datetime | None


class Overtaken(Exception):
    """Somebody else has moved the checkpoint."""


class Tables:
    """Raises psycopg.Error when the database does not take a statement now."""

    def __init__(
        self,
        database_url: str,
        *,
        owner: str = NOBODY,
        mode: Mode = "postgresql",
        refusals: Refusals | None = None,
    ) -> None:
        self._refusals = Refusals() if refusals is None else refusals
        self._connector = Connector(database_url, f"node {owner} projections", mode)
        self._open_line: Line | None = None
        self._turn = asyncio.Lock()

    async def checkpoints(self) -> dict[int, int]:
        """The seq of each shard that has been folded."""
        return await self._twice(self._checkpoints)

    async def _checkpoints(self) -> dict[int, int]:
        parameters = {"projection": PROJECTION, "shard_id": int4s(range(SHARDS))}
        async with self._transaction(SHORT) as connection:
            await connection.execute(statement("create_checkpoints"), parameters)
            cursor = await connection.execute(statement("read_checkpoints"), parameters)
            rows = await cursor.fetchall()
        return {int(str(shard_id)): int(str(seq)) for shard_id, seq in rows}

    async def write(
        self, sagas: Sequence[Saga], before: Mapping[int, int], after: Mapping[int, int]
    ) -> None:
        """Rows and checkpoints together, or nothing. Raises Overtaken, also if they are there since
        a try whose answer was lost."""
        await self._twice(lambda: self._write(sagas, before, after))

    async def _write(
        self, sagas: Sequence[Saga], before: Mapping[int, int], after: Mapping[int, int]
    ) -> None:
        moved = [shard_id for shard_id in after if after[shard_id] != before[shard_id]]
        here = {shard_id: (before[shard_id], before[shard_id]) for shard_id in moved}
        there = {shard_id: (before[shard_id], after[shard_id]) for shard_id in moved}
        *first, last = _portions(sagas)
        async with self._line(SHORT) as line:
            for portion in first:  # of many: the checkpoints stay until the last one
                await _write(line, portion, here)
            await _write(line, last, there)

    async def unfinished(self, shard_ids: Sequence[int]) -> list[Waiting]:
        return await self._twice(lambda: self._unfinished(shard_ids))

    async def _unfinished(self, shard_ids: Sequence[int]) -> list[Waiting]:
        parameters = {"shard_ids": int4s(shard_ids)}
        async with self._transaction(SHORT) as connection:
            cursor = await connection.execute(statement("read_unfinished"), parameters)
            rows = await cursor.fetchall()
        return [_waiting(*row) for row in rows]

    @asynccontextmanager
    async def rebuilding(self) -> AsyncIterator[Rebuild]:
        """Nobody sees the emptied table: it is filled again in the same transaction."""
        async with self._line(LONG) as line, line.connection.transaction():
            reset = {"projection": PROJECTION}
            await line.connection.execute(statement("reset_checkpoints"), reset)
            await line.connection.execute(statement("delete_saga_status"))
            yield Rebuild(line)

    async def close_idle(self) -> None:
        """Close the connection if nobody uses it now; the next statement opens another."""
        if not self._turn.locked():
            await self.close()

    async def close(self) -> None:
        line, self._open_line = self._open_line, None
        if line is not None:
            await line.close()

    async def _twice(self, attempt: Callable[[], Awaitable[Result]]) -> Result:
        """A connection that was idle may have died without a word: then try on a new one."""
        was_open = self._open_line is not None
        try:
            return await attempt()
        except REFUSED:
            raise
        except psycopg.Error:
            if not was_open:
                raise
        return await attempt()

    @asynccontextmanager
    async def _transaction(self, limit: timedelta) -> AsyncIterator[Connection]:
        async with self._line(limit) as line, line.connection.transaction():
            yield line.connection

    @asynccontextmanager
    async def _line(self, limit: timedelta) -> AsyncIterator[Line]:
        async with self._turn:
            if self._open_line is None or self._open_line.connection.closed:
                await self.close()
                self._open_line = await open_line(self._connector)
            line = self._open_line
            try:
                with watchdog(line.connection, limit):
                    yield line
                self._refusals.clear(PROJECTION)
            except (psycopg.Error, asyncio.CancelledError) as error:
                if isinstance(error, psycopg.Error):
                    self._refusals.note(PROJECTION, error)
                # Lost, or a statement may still be under way.
                await self.close()
                raise


def _waiting(saga_id: object, idle: object, wake_at: object) -> Waiting:
    assert wake_at is None or isinstance(wake_at, datetime)
    return Waiting(str(saga_id), bool(idle), wake_at)


class Rebuild:
    def __init__(self, line: Line) -> None:
        self._line = line

    async def write(self, sagas: Sequence[Saga]) -> None:
        for portion in _portions(sagas):
            await _write(self._line, portion, {})

    async def reach(self, shard_id: int, seq: int) -> None:
        await _write(self._line, [], {shard_id: (0, seq)})


def _portions(sagas: Sequence[Saga]) -> list[Sequence[Saga]]:
    """At least one, which may be empty."""
    starts = range(0, max(len(sagas), 1), ROWS_A_STATEMENT)
    return [sagas[start : start + ROWS_A_STATEMENT] for start in starts]


async def _write(line: Line, sagas: Sequence[Saga], moves: Mapping[int, tuple[int, int]]) -> None:
    """`moves`: of checkpoints, from where to where. Raises Overtaken."""
    parameters = columns(sagas) | {
        "moved_shard_id": int4s(list(moves)),
        "before": int8s([before for before, _ in moves.values()]),
        "seq": int8s([seq for _, seq in moves.values()]),
    }
    try:
        await line.execute("write_saga_status", statement("write_saga_status"), parameters)
    except psycopg.errors.CheckViolation as error:
        if error.diag.constraint_name == COMPARED:
            raise Overtaken from error
        raise
