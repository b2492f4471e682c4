"""The status table and its checkpoints, over one connection that is reopened when it is lost."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeVar

import psycopg

from ..eventstore import SHARD_COUNT, shard_of
from ..eventstore.postgres import (
    NO_OWNER,
    VALUE_ERRORS,
    Connection,
    Connector,
    DatabaseMode,
    PreparedConnection,
    ReaderPool,
    Refusals,
    bool_array,
    int4_array,
    int8_array,
    jsonb_array,
    nullable_text_array,
    nullable_timestamptz_array,
    open_prepared_connection,
    text_array,
    timestamptz_array,
    uuid_array,
    watchdog,
)
from ..fsm.decider.decide import is_idle
from ..fsm.formats.strict_json import serialize
from ..fsm.instructions import needs_no_recovery, next_wakeup
from ..fsm.saga import Saga
from . import statement
from .errors import CheckpointConflict
from .status import current_step, parked_view

Result = TypeVar("Result")

PROJECTION = "saga_status"
STATEMENT_TIMEOUT = timedelta(seconds=10)  # a server that takes longer is frozen
REBUILD_TIMEOUT = timedelta(hours=1)
MAX_ROWS_PER_STATEMENT = 1000
CHECKPOINT_CONSTRAINT = "checkpoint_is_not_negative"  # violated by a checkpoint that has been moved


@dataclass(frozen=True, slots=True)
class UnfinishedSaga:
    """A saga that does not rest. An idle one only waits, until `wake_at` at the latest."""

    saga_id: str
    is_idle: bool
    wake_at: datetime | None


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The seq up to which the status table covers a shard."""

    shard_id: int
    seq: int


async def read_checkpoints(readers: ReaderPool) -> Mapping[int, int]:
    """Return the checkpoint of each shard. Raises LogUnavailable."""
    rows = await readers.fetch(Checkpoint, "read_checkpoints", {"projection": PROJECTION})
    return {row.shard_id: row.seq for row in rows}


class StatusTable:
    """Reads and writes rows and checkpoints. Raises psycopg.Error if the database refuses."""

    def __init__(
        self,
        database_url: str,
        *,
        owner: str = NO_OWNER,
        mode: DatabaseMode = "postgresql",
        refusals: Refusals | None = None,
    ) -> None:
        self._refusals = Refusals() if refusals is None else refusals
        self._connector = Connector(database_url, f"node {owner} projections", mode)
        self._open_connection: PreparedConnection | None = None
        self._lock = asyncio.Lock()

    async def checkpoints(self) -> dict[int, int]:
        """Return the seq of each shard up to which it is projected."""
        return await self._retry_once(self._checkpoints)

    async def _checkpoints(self) -> dict[int, int]:
        parameters = {"projection": PROJECTION, "shard_id": int4_array(range(SHARD_COUNT))}
        async with self._transaction(STATEMENT_TIMEOUT) as connection:
            await connection.execute(statement("create_checkpoints"), parameters)
            cursor = await connection.execute(statement("read_checkpoints"), parameters)
            rows = await cursor.fetchall()
        return {int(str(shard_id)): int(str(seq)) for shard_id, seq in rows}

    async def write(
        self, sagas: Sequence[Saga], before: Mapping[int, int], after: Mapping[int, int]
    ) -> None:
        """Write rows and checkpoints in one transaction.

        Raises CheckpointConflict, also if an attempt whose result was lost has written them.
        """
        await self._retry_once(lambda: self._write(sagas, before, after))

    async def _write(
        self, sagas: Sequence[Saga], before: Mapping[int, int], after: Mapping[int, int]
    ) -> None:
        moved = [shard_id for shard_id in after if after[shard_id] != before[shard_id]]
        unmoved = {shard_id: (before[shard_id], before[shard_id]) for shard_id in moved}
        moves = {shard_id: (before[shard_id], after[shard_id]) for shard_id in moved}
        *first, last = _batches(sagas)
        async with self._connection(STATEMENT_TIMEOUT) as prepared:
            for batch in first:  # the checkpoints move with the last batch
                await _upsert(prepared, batch, unmoved)
            await _upsert(prepared, last, moves)

    async def unfinished_sagas(self, shard_ids: Sequence[int]) -> list[UnfinishedSaga]:
        """Return the sagas of these shards that do not rest, oldest first."""
        return await self._retry_once(lambda: self._unfinished_sagas(shard_ids))

    async def _unfinished_sagas(self, shard_ids: Sequence[int]) -> list[UnfinishedSaga]:
        parameters = {"shard_ids": int4_array(shard_ids)}
        async with self._transaction(STATEMENT_TIMEOUT) as connection:
            cursor = await connection.execute(statement("read_unfinished"), parameters)
            rows = await cursor.fetchall()
        return [_unfinished_saga(*row) for row in rows]

    @asynccontextmanager
    async def rebuilding(self) -> AsyncIterator[Rebuild]:
        """Empty the table and fill it again in one transaction; readers see the old rows."""
        async with (
            self._connection(REBUILD_TIMEOUT) as prepared,
            prepared.connection.transaction(),
        ):
            reset = {"projection": PROJECTION}
            await prepared.connection.execute(statement("reset_checkpoints"), reset)
            await prepared.connection.execute(statement("delete_saga_status"))
            yield Rebuild(prepared)

    async def close_idle(self) -> None:
        """Close the connection unless it is in use; the next statement opens another."""
        if not self._lock.locked():
            await self.close()

    async def close(self) -> None:
        prepared, self._open_connection = self._open_connection, None
        if prepared is not None:
            await prepared.close()

    async def _retry_once(self, attempt: Callable[[], Awaitable[Result]]) -> Result:
        """Repeat `attempt` on a new connection if the old one may have died while idle."""
        was_open = self._open_connection is not None
        try:
            return await attempt()
        except VALUE_ERRORS:
            raise
        except psycopg.Error:
            if not was_open:
                raise
        return await attempt()

    @asynccontextmanager
    async def _transaction(self, limit: timedelta) -> AsyncIterator[Connection]:
        async with self._connection(limit) as prepared, prepared.connection.transaction():
            yield prepared.connection

    @asynccontextmanager
    async def _connection(self, limit: timedelta) -> AsyncIterator[PreparedConnection]:
        async with self._lock:
            if self._open_connection is None or self._open_connection.connection.closed:
                await self.close()
                self._open_connection = await open_prepared_connection(self._connector)
            prepared = self._open_connection
            try:
                with watchdog(prepared.connection, limit):
                    yield prepared
                self._refusals.clear(PROJECTION)
            except (psycopg.Error, asyncio.CancelledError) as error:
                if isinstance(error, psycopg.Error):
                    self._refusals.record(PROJECTION, error)
                # The connection is lost, or a statement may still run on it.
                await self.close()
                raise


def _unfinished_saga(saga_id: object, idle: object, wake_at: object) -> UnfinishedSaga:
    assert wake_at is None or isinstance(wake_at, datetime)
    return UnfinishedSaga(str(saga_id), bool(idle), wake_at)


class Rebuild:
    """A rebuild in progress; it commits when the transaction around it ends."""

    def __init__(self, connection: PreparedConnection) -> None:
        self._connection = connection

    async def write(self, sagas: Sequence[Saga]) -> None:
        for batch in _batches(sagas):
            await _upsert(self._connection, batch, {})

    async def set_checkpoint(self, shard_id: int, seq: int) -> None:
        await _upsert(self._connection, [], {shard_id: (0, seq)})


def _batches(sagas: Sequence[Saga]) -> list[Sequence[Saga]]:
    """Split `sagas`; the result has at least one batch, which may be empty."""
    starts = range(0, max(len(sagas), 1), MAX_ROWS_PER_STATEMENT)
    return [sagas[start : start + MAX_ROWS_PER_STATEMENT] for start in starts]


async def _upsert(
    connection: PreparedConnection, sagas: Sequence[Saga], moves: Mapping[int, tuple[int, int]]
) -> None:
    """`moves` maps a shard to the old and the new checkpoint. Raises CheckpointConflict."""
    parameters = status_columns(sagas) | {
        "moved_shard_id": int4_array(list(moves)),
        "before": int8_array([before for before, _ in moves.values()]),
        "seq": int8_array([seq for _, seq in moves.values()]),
    }
    try:
        await connection.execute("write_saga_status", statement("write_saga_status"), parameters)
    except psycopg.errors.CheckViolation as error:
        if error.diag.constraint_name == CHECKPOINT_CONSTRAINT:
            raise CheckpointConflict from error
        raise


def status_columns(sagas: Sequence[Saga]) -> dict[str, bytes]:
    """Return one binary array per column, as `unnest` takes them."""
    states = [saga.state for saga in sagas]
    return {
        "saga_id": uuid_array([state.saga_id for state in states]),
        "shard_id": int4_array([shard_of(state.saga_id) for state in states]),
        "saga_type": text_array([state.saga_type for state in states]),
        "definition_version": int4_array([state.definition_version for state in states]),
        "entity_id": jsonb_array([serialize(state.entity_id) for state in states]),
        "status": text_array([state.status for state in states]),
        "rests": bool_array([needs_no_recovery(saga) for saga in sagas]),
        "idle": bool_array([is_idle(saga) for saga in sagas]),
        "wake_at": nullable_timestamptz_array([next_wakeup(saga) for saga in sagas]),
        "current_step": nullable_text_array([current_step(saga) for saga in sagas]),
        "error": nullable_text_array([state.error for state in states]),
        "parked_at": nullable_timestamptz_array(
            [state.parked.since if state.parked else None for state in states]
        ),
        # Most sagas have neither: constants are faster than the serializer.
        "parked": jsonb_array(
            [serialize(parked_view(saga)) if saga.state.parked else b"null" for saga in sagas]
        ),
        "paused": bool_array([state.paused_at is not None for state in states]),
        "tags": jsonb_array([serialize(state.tags) if state.tags else b"{}" for state in states]),
        "version": int4_array([state.version for state in states]),
        "created_at": timestamptz_array([state.created_at for state in states]),
        "updated_at": timestamptz_array([state.updated_at for state in states]),
    }
