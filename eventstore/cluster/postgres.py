"""Membership and inbox in PostgreSQL.

Membership uses a dedicated connection that holds the node's liveness lock (an advisory lock)
and LISTENs; everything else uses the reader pool. With `life_lines` off it uses nothing that
only PostgreSQL has (advisory locks, NOTIFY, the list of sessions): a killed node is then
noticed by its silence alone, and no node is notified.

Notifications are statements of their own: a commit that notifies takes a lock that all of them
share, and a message need not wait for it."""

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

from ..errors import LogUnavailable
from ..postgres.binary_arrays import int4_array, uuid_array
from ..postgres.connection import Connection, Connector, wait_until_readable, watchdog
from ..postgres.reader_pool import ReaderPool
from ..postgres.refusals import Refusals, describe_error
from ..postgres.statements import DatabaseMode, statement
from .inbox import ANSWER_RETENTION, MAX_MESSAGES_PER_PRUNE, MAX_MESSAGES_PER_READ, Message
from .membership import ClusterView, Node

# A node whose own connection broke cannot tell who else has lost theirs and who is dead: the server
# may have restarted under all of them. It first lets them come back.
RECONNECT_GRACE: Final = timedelta(seconds=2)
# Together with the limit of the statements between two beats this is less than the ten seconds
# after which a node that is silent counts as frozen.
HEARTBEAT_STATEMENT_TIMEOUT: Final = timedelta(seconds=3)
NODE_RETENTION: Final = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class _AcquiredShard:
    shard_id: int


_NodeRow = tuple[str, bool, float, bool]  # id, leaving, seconds of silence, life line


@dataclass(frozen=True, slots=True)
class _HeartbeatRow:
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
        readers: ReaderPool,
        node_id: str,
        *,
        life_lines: bool = True,
        on_loss: Callable[[], Awaitable[None]] | None = None,
        refusals: Refusals | None = None,
    ) -> None:
        self._refusals = Refusals() if refusals is None else refusals
        self._readers, self._node_id, self._life_lines = readers, node_id, life_lines
        self._on_loss = on_loss or readers.close_idle
        self._mode: DatabaseMode = "postgresql" if life_lines else "portable"
        self._connector = Connector(database_url, f"node {node_id} membership", self._mode)
        self._connection: Connection | None = None
        self._nudge = asyncio.Event()
        self._judges_from = 0.0  # the loop's time

    @property
    def node_id(self) -> str:
        return self._node_id

    async def heartbeat(self, *, leaving: bool = False) -> ClusterView:
        sign = {"node_id": self._node_id, "leaving": leaving}
        async with self._connected() as connection:
            if not self._life_lines:
                return await self._portable_heartbeat(connection, sign)
            cursor = connection.cursor(binary=True, row_factory=class_row(_HeartbeatRow))
            await cursor.execute(statement("beat", self._mode), sign, prepare=True)
            (look,) = await cursor.fetchall()
        others = zip(
            look.node_ids or (),
            look.leaving or (),
            look.silent_seconds or (),
            look.has_life_line or (),
            strict=True,
        )
        nodes = [Node(node_id=self._node_id, leaving=leaving), *map(self._node_from_row, others)]
        return ClusterView(
            {node.node_id: node for node in nodes},
            dict(zip(look.shard_ids or (), look.owner_ids or (), strict=True)),
            look.messages_wait,
        )

    async def _portable_heartbeat(
        self, connection: Connection, sign: Mapping[str, object]
    ) -> ClusterView:
        """Beat in statements of their own: where all are serializable, a node that writes its row
        and reads those of others in one would fail for theirs."""
        await connection.execute(statement("beat", self._mode), sign)
        nodes = await (await connection.execute(statement("read_nodes", self._mode))).fetchall()
        owners = await (await connection.execute(statement("read_owners", self._mode))).fetchall()
        seen = [self._node_from_row(cast(_NodeRow, row)) for row in nodes]
        return ClusterView(
            {node.node_id: node for node in seen},
            {cast(int, shard_id): cast(str, node_id) for shard_id, node_id in owners},
        )

    async def acquire(self, shard_ids: Sequence[int], dead: Collection[str]) -> Sequence[int]:
        gone = sorted(dead)
        if gone and self._life_lines:
            await self._readers.execute("end_sessions", {"node_ids": gone})
        wanted = {"node_id": self._node_id, "shard_ids": int4_array(shard_ids), "dead": gone}
        reserved = await self._readers.fetch(_AcquiredShard, "reserve_shards", wanted)
        await self._readers.execute("forget_nodes", {"after": NODE_RETENTION})
        return [one.shard_id for one in reserved]

    async def transfer(self, heirs: Mapping[int, str]) -> None:
        given = {
            "node_id": self._node_id,
            "shard_ids": int4_array(list(heirs)),
            "heirs": uuid_array(list(heirs.values())),
        }
        await self._readers.execute("hand_over_shards", given)
        for heir in sorted(set(heirs.values())) if self._life_lines else ():
            await self._readers.execute("nudge_node", {"node_id": heir})

    async def wait_for_notification(self, within: timedelta) -> bool:
        connection = self._connection
        if connection is None or not self._life_lines:
            await asyncio.sleep(within.total_seconds())
            return False
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(within.total_seconds()):
                    while not self._nudge.is_set():
                        await wait_until_readable(connection.pgconn.socket)
                        self._read_notifications(connection)
        except (psycopg.Error, OSError) as error:
            await self.close()
            raise LogUnavailable(str(error)) from error
        nudged = self._nudge.is_set()
        self._nudge.clear()
        return nudged

    def _read_notifications(self, connection: Connection) -> None:
        """Read what has arrived outside of statements. The driver's own way to wait for
        notifications wakes up ten times a second."""
        connection.pgconn.consume_input()
        while connection.pgconn.notifies() is not None:
            self._nudge.set()

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
            with watchdog(self._connection, HEARTBEAT_STATEMENT_TIMEOUT):
                yield self._connection
            self._refusals.clear("beat")
        except (psycopg.Error, OSError) as error:
            if isinstance(error, psycopg.Error):
                self._refusals.record("beat", error)
            await self.close()
            await self._on_loss()
            raise LogUnavailable(describe_error(error)) from error

    async def _connect(self) -> Connection:
        connection = await self._connector.connect()
        try:
            if self._life_lines:
                with watchdog(connection, HEARTBEAT_STATEMENT_TIMEOUT):
                    await self._acquire_liveness_lock(connection)
        except BaseException:
            await connection.close()
            raise
        now = asyncio.get_running_loop().time()
        self._judges_from = now + RECONNECT_GRACE.total_seconds() if self._judges_from else now
        return connection

    async def _acquire_liveness_lock(self, connection: Connection) -> None:
        # A sign of life that is lost in a power cut is given again; it waits for no standby either.
        await connection.execute(statement("configure_heartbeat", self._mode))
        connection.add_notify_handler(lambda _: self._nudge.set())  # while a statement is under way
        channel = sql.Identifier(f"node_{self._node_id.replace('-', '')}")
        await connection.execute(sql.SQL("listen {}").format(channel))
        await connection.execute(statement("hold_life_line"), {"node_id": self._node_id})

    def _node_from_row(self, seen: _NodeRow) -> Node:
        node_id, leaving, silent_seconds, has_life_line = seen
        node = Node(
            node_id=node_id,
            leaving=leaving,
            silent_for=timedelta(seconds=silent_seconds),
            holds_liveness_lock=has_life_line,
        )
        if asyncio.get_running_loop().time() < self._judges_from:
            return replace(node, holds_liveness_lock=True)
        return node


@dataclass(frozen=True, slots=True)
class _AnswerRow:
    message_id: str
    answer: bytes


class PostgresInbox:
    """Implements Inbox."""

    def __init__(self, readers: ReaderPool, *, nudges: bool = True) -> None:
        self._readers, self._nudges = readers, nudges

    async def send(self, message: Message) -> None:
        row = {
            "message_id": message.message_id,
            "shard_id": message.shard_id,
            "sender": message.sender,
            "body": message.body,
        }
        await self._readers.execute("send_message", row)
        await self._notify("nudge_owner", {"shard_id": message.shard_id})

    async def unanswered(self, shard_ids: Collection[int]) -> Sequence[Message]:
        wanted = {"shard_ids": int4_array(sorted(shard_ids)), "limit": MAX_MESSAGES_PER_READ}
        return await self._readers.fetch(Message, "read_messages", wanted)

    async def answer(self, message: Message, answer: bytes) -> None:
        row = {"message_id": message.message_id, "answer": answer}
        await self._readers.execute("answer_message", row)
        await self._notify("nudge_node", {"node_id": message.sender})

    async def answers(self, message_ids: Collection[str]) -> Mapping[str, bytes]:
        wanted = {"message_ids": uuid_array(sorted(message_ids))}
        rows = await self._readers.fetch(_AnswerRow, "read_answers", wanted)
        return {one.message_id: one.answer for one in rows}

    async def prune(self, shard_ids: Collection[int]) -> int:
        parameters = {
            "shard_ids": int4_array(sorted(shard_ids)),
            "after": ANSWER_RETENTION,
            "limit": MAX_MESSAGES_PER_PRUNE,
        }
        return await self._readers.execute("prune_messages", parameters)

    async def _notify(self, name: str, whom: Mapping[str, object]) -> None:
        if self._nudges:
            await self._readers.execute(name, whom)
