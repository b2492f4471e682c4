"""Membership in PostgreSQL: a connection that is the life line and hears the nudges, beside those
that everybody shares.

With `life_lines` off nothing is used that only PostgreSQL has (advisory locks, NOTIFY, the list of
sessions): a killed node is then noticed by its silence alone, and nobody is nudged.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Final, cast

import psycopg
from psycopg import sql

from .columns import int4s, uuids
from .connection import Connection, Connector, watchdog
from .errors import LogUnavailable
from .readers import Readers
from .refusals import Refusals, explained
from .roster import Node, Roster
from .statements import Mode, statement

# A node whose own connection broke cannot tell who else has lost theirs and who is dead: the server
# may have restarted under all of them. It first lets them come back.
GRACE: Final = timedelta(seconds=2)
# Together with the limit of the statements between two beats this is less than the ten seconds
# after which a node that is silent counts as frozen.
STATEMENT_TIMEOUT: Final = timedelta(seconds=3)
FORGOTTEN_AFTER: Final = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class _Reserved:
    shard_id: int


class PostgresMembership:
    """Implements Membership. `on_loss` is called when its connection is lost: those that are idle
    may be as well, and only a statement would find out."""

    def __init__(
        self,
        database_url: str,
        readers: Readers,
        node_id: str,
        *,
        life_lines: bool = True,
        on_loss: Callable[[], Awaitable[None]] | None = None,
        refusals: Refusals | None = None,
    ) -> None:
        self._refusals = Refusals() if refusals is None else refusals
        self._readers, self._node_id, self._life_lines = readers, node_id, life_lines
        self._on_loss = on_loss or readers.close_idle
        self._mode: Mode = "postgresql" if life_lines else "portable"
        self._connector = Connector(database_url, f"node {node_id} membership", self._mode)
        self._connection: Connection | None = None
        self._judges_from = 0.0  # the loop's time

    @property
    def node_id(self) -> str:
        return self._node_id

    async def beat(self, *, leaving: bool = False) -> Roster:
        async with self._connected() as connection:
            sign = {"node_id": self._node_id, "leaving": leaving}
            await connection.execute(statement("beat"), sign)
            reading = statement("read_nodes", self._mode)
            nodes = await (await connection.execute(reading)).fetchall()
            owners = await (await connection.execute(statement("read_owners"))).fetchall()
        seen = [self._node(row) for row in nodes]
        return Roster(
            {node.node_id: node for node in seen},
            {cast(int, shard_id): cast(str, node_id) for shard_id, node_id in owners},
        )

    async def reserve(self, shard_ids: Sequence[int], dead: Collection[str]) -> Sequence[int]:
        gone = sorted(dead)
        if gone and self._life_lines:
            await self._readers.execute("end_sessions", {"node_ids": gone})
        wanted = {"node_id": self._node_id, "shard_ids": int4s(shard_ids), "dead": gone}
        reserved = await self._readers.fetch(_Reserved, "reserve_shards", wanted)
        await self._readers.execute("forget_nodes", {"after": FORGOTTEN_AFTER})
        return [one.shard_id for one in reserved]

    async def hand_over(self, heirs: Mapping[int, str]) -> None:
        given = {
            "node_id": self._node_id,
            "shard_ids": int4s(list(heirs)),
            "heirs": uuids(list(heirs.values())),
        }
        await self._readers.execute("hand_over_shards", given)
        for heir in sorted(set(heirs.values())) if self._life_lines else ():
            await self._readers.execute("nudge_node", {"node_id": heir})

    async def nudged(self, within: timedelta) -> None:
        if self._connection is None or not self._life_lines:
            await asyncio.sleep(within.total_seconds())
            return
        try:
            async for _ in self._connection.notifies(timeout=within.total_seconds(), stop_after=1):
                pass
        except (psycopg.Error, OSError) as error:
            await self.close()
            raise LogUnavailable(str(error)) from error

    async def leave(self) -> None:
        await self._readers.execute("leave", {"node_id": self._node_id})

    async def close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.close()

    @asynccontextmanager
    async def _connected(self) -> AsyncIterator[Connection]:
        try:
            if self._connection is None:
                self._connection = await self._connect()
            with watchdog(self._connection, STATEMENT_TIMEOUT):
                yield self._connection
            self._refusals.clear("beat")
        except (psycopg.Error, OSError) as error:
            if isinstance(error, psycopg.Error):
                self._refusals.note("beat", error)
            await self.close()
            await self._on_loss()
            raise LogUnavailable(explained(error)) from error

    async def _connect(self) -> Connection:
        connection = await self._connector.connect()
        try:
            if self._life_lines:
                with watchdog(connection, STATEMENT_TIMEOUT):
                    await self._hold_life_line(connection)
        except BaseException:
            await connection.close()
            raise
        now = asyncio.get_running_loop().time()
        self._judges_from = now + GRACE.total_seconds() if self._judges_from else now
        return connection

    async def _hold_life_line(self, connection: Connection) -> None:
        channel = sql.Identifier(f"node_{self._node_id.replace('-', '')}")
        await connection.execute(sql.SQL("listen {}").format(channel))
        await connection.execute(statement("hold_life_line"), {"node_id": self._node_id})

    def _node(self, row: tuple[object, ...]) -> Node:
        node_id, leaving, silent_seconds, has_life_line = cast(tuple[str, bool, float, bool], row)
        node = Node(
            node_id=node_id,
            leaving=leaving,
            silent_for=timedelta(seconds=silent_seconds),
            has_life_line=has_life_line,
        )
        if asyncio.get_running_loop().time() < self._judges_from:
            return replace(node, has_life_line=True)
        return node
