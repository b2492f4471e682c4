"""Membership in PostgreSQL: a connection that is the life line and hears the nudges, beside those
that everybody shares.

With `life_lines` off nothing is used that only PostgreSQL has (advisory locks, NOTIFY, the list of
sessions): a killed node is then noticed by its silence alone, and nobody is nudged.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Final, cast

import psycopg
from psycopg import sql
from psycopg.rows import class_row

from .columns import int4s, uuids
from .connection import Connection, Connector, watchdog
from .ear import Ear
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


_Seen = tuple[str, bool, float, bool]  # id, leaving, seconds of silence, life line


@dataclass(frozen=True, slots=True)
class _Look:
    """What a beat brings of the others; null where there is nobody."""

    node_ids: list[str] | None
    leaving: list[bool] | None
    silent_seconds: list[float] | None
    has_life_line: list[bool] | None
    shard_ids: list[int] | None
    owner_ids: list[str] | None
    messages_wait: bool


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
        self._ear: Ear | None = None
        self._nudge = asyncio.Event()
        self._judges_from = 0.0  # the loop's time

    @property
    def node_id(self) -> str:
        return self._node_id

    async def beat(self, *, leaving: bool = False) -> Roster:
        sign = {"node_id": self._node_id, "leaving": leaving}
        async with self._connected() as connection:
            if not self._life_lines:
                return await self._beat_and_look(connection, sign)
            cursor = connection.cursor(binary=True, row_factory=class_row(_Look))
            await cursor.execute(statement("beat", self._mode), sign, prepare=True)
            (look,) = await cursor.fetchall()
        others = zip(
            look.node_ids or (),
            look.leaving or (),
            look.silent_seconds or (),
            look.has_life_line or (),
            strict=True,
        )
        nodes = [Node(node_id=self._node_id, leaving=leaving), *map(self._node, others)]
        return Roster(
            {node.node_id: node for node in nodes},
            dict(zip(look.shard_ids or (), look.owner_ids or (), strict=True)),
            look.messages_wait,
        )

    async def _beat_and_look(self, connection: Connection, sign: Mapping[str, object]) -> Roster:
        """Beat in statements of their own: where all are serializable, a node that writes its row
        and reads those of others in one would fail for theirs."""
        await connection.execute(statement("beat", self._mode), sign)
        nodes = await (await connection.execute(statement("read_nodes", self._mode))).fetchall()
        owners = await (await connection.execute(statement("read_owners", self._mode))).fetchall()
        seen = [self._node(cast(_Seen, row)) for row in nodes]
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

    async def nudged(self, within: timedelta) -> bool:
        if self._connection is None or self._ear is None:
            await asyncio.sleep(within.total_seconds())
            return False
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(within.total_seconds()):
                    while not self._nudge.is_set():
                        await self._ear.readable()
                        self._listen(self._connection)
        except (psycopg.Error, OSError) as error:
            await self.close()
            raise LogUnavailable(str(error)) from error
        nudged = self._nudge.is_set()
        self._nudge.clear()
        return nudged

    def _listen(self, connection: Connection) -> None:
        """Read what has arrived outside of statements. The driver's own way to wait for
        notifications wakes up ten times a second."""
        connection.pgconn.consume_input()
        while connection.pgconn.notifies() is not None:
            self._nudge.set()

    async def leave(self) -> None:
        await self._readers.execute("leave", {"node_id": self._node_id})

    async def close(self) -> None:
        connection, self._connection = self._connection, None
        ear, self._ear = self._ear, None
        if ear is not None:
            ear.close()
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
                self._ear = Ear(connection.pgconn.socket)
        except BaseException:
            await connection.close()
            raise
        now = asyncio.get_running_loop().time()
        self._judges_from = now + GRACE.total_seconds() if self._judges_from else now
        return connection

    async def _hold_life_line(self, connection: Connection) -> None:
        # A sign of life that is lost in a power cut is given again; it waits for no standby either.
        await connection.execute(statement("configure_heartbeat", self._mode))
        connection.add_notify_handler(lambda _: self._nudge.set())  # while a statement is under way
        channel = sql.Identifier(f"node_{self._node_id.replace('-', '')}")
        await connection.execute(sql.SQL("listen {}").format(channel))
        await connection.execute(statement("hold_life_line"), {"node_id": self._node_id})

    def _node(self, seen: _Seen) -> Node:
        node_id, leaving, silent_seconds, has_life_line = seen
        node = Node(
            node_id=node_id,
            leaving=leaving,
            silent_for=timedelta(seconds=silent_seconds),
            has_life_line=has_life_line,
        )
        if asyncio.get_running_loop().time() < self._judges_from:
            return replace(node, has_life_line=True)
        return node
