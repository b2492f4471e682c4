"""Membership and inbox in PostgreSQL.

Membership uses a dedicated connection that holds the node's liveness lock (an advisory lock)
and LISTENs; everything else uses the reader pool. With `liveness_locks` off it uses nothing that
only PostgreSQL has (advisory locks, NOTIFY, the list of sessions): a killed node is then
noticed by its silence alone, and no node is notified.

Notifications are statements of their own: a commit that notifies takes a lock that all of them
share, and a message need not wait for it.
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

from ..errors import LogUnavailable
from ..postgres import (
    Connection,
    Connector,
    DatabaseMode,
    ReaderPool,
    Refusals,
    describe_error,
    int4_array,
    statement,
    uuid_array,
    wait_until_readable,
    watchdog,
)
from .inbox import ANSWER_RETENTION, MAX_MESSAGES_PER_PRUNE, MAX_MESSAGES_PER_READ, Message
from .membership import ClusterView, Node

# A node whose own connection broke cannot tell dead nodes from those that have lost theirs too: the
# server may have restarted. It first lets the others connect again.
RECONNECT_GRACE: Final = timedelta(seconds=2)
# Together with the limit of the statements between two heartbeats this is less than the ten seconds
# after which a silent node counts as frozen.
HEARTBEAT_STATEMENT_TIMEOUT: Final = timedelta(seconds=3)
NODE_RETENTION: Final = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class _AcquiredShard:
    shard_id: int


_NodeRow = tuple[str, bool, float, bool]  # id, leaving, seconds of silence, liveness lock


@dataclass(frozen=True, slots=True)
class _HeartbeatRow:
    """The row that a heartbeat returns for each other node; its members are null if there is
    none."""

    node_ids: list[str] | None
    leaving: list[bool] | None
    silent_seconds: list[float] | None
    holds_liveness_lock: list[bool] | None
    shard_ids: list[int] | None
    owner_ids: list[str] | None
    messages_wait: bool


class PostgresMembership:
    """Implements Membership.

    `on_loss` is called when its connection is lost: idle connections may be lost as well, and only
    a statement would notice.
    """

    def __init__(
        self,
        database_url: str,
        readers: ReaderPool,
        node_id: str,
        *,
        liveness_locks: bool = True,
        on_loss: Callable[[], Awaitable[None]] | None = None,
        refusals: Refusals | None = None,
    ) -> None:
        self._refusals = Refusals() if refusals is None else refusals
        self._readers, self._node_id, self._uses_locks = readers, node_id, liveness_locks
        self._on_loss = on_loss or readers.close_idle
        self._mode: DatabaseMode = "postgresql" if liveness_locks else "portable"
        self._connector = Connector(database_url, f"node {node_id} membership", self._mode)
        self._connection: Connection | None = None
        self._notified = asyncio.Event()
        self._trusts_locks_from = 0.0  # the loop's time

    @property
    def node_id(self) -> str:
        return self._node_id

    async def heartbeat(self, *, leaving: bool = False) -> ClusterView:
        parameters = {"node_id": self._node_id, "leaving": leaving}
        async with self._connected() as connection:
            if not self._uses_locks:
                return await self._portable_heartbeat(connection, parameters)
            cursor = connection.cursor(binary=True, row_factory=class_row(_HeartbeatRow))
            await cursor.execute(statement("heartbeat", self._mode), parameters, prepare=True)
            (row,) = await cursor.fetchall()
        others = zip(
            row.node_ids or (),
            row.leaving or (),
            row.silent_seconds or (),
            row.holds_liveness_lock or (),
            strict=True,
        )
        nodes = [Node(node_id=self._node_id, leaving=leaving), *map(self._node_from_row, others)]
        return ClusterView(
            {node.node_id: node for node in nodes},
            dict(zip(row.shard_ids or (), row.owner_ids or (), strict=True)),
            row.messages_wait,
        )

    async def _portable_heartbeat(
        self, connection: Connection, parameters: Mapping[str, object]
    ) -> ClusterView:
        """Write the row of this node, then read those of others, in statements of their own.

        Where every transaction is serializable, one statement for both would fail for their writes.
        """
        await connection.execute(statement("heartbeat", self._mode), parameters)
        rows = await (await connection.execute(statement("read_nodes", self._mode))).fetchall()
        owners = await (await connection.execute(statement("read_owners", self._mode))).fetchall()
        nodes = [self._node_from_row(cast(_NodeRow, row)) for row in rows]
        return ClusterView(
            {node.node_id: node for node in nodes},
            {cast(int, shard_id): cast(str, node_id) for shard_id, node_id in owners},
        )

    async def acquire(self, shard_ids: Sequence[int], dead: Collection[str]) -> Sequence[int]:
        if dead and self._uses_locks:
            await self._readers.execute("end_sessions", {"node_ids": sorted(dead)})
        parameters = {
            "node_id": self._node_id,
            "shard_ids": int4_array(shard_ids),
            "dead": sorted(dead),
        }
        acquired = await self._readers.fetch(_AcquiredShard, "acquire_shards", parameters)
        await self._readers.execute("delete_gone_nodes", {"after": NODE_RETENTION})
        return [row.shard_id for row in acquired]

    async def transfer(self, new_owners: Mapping[int, str]) -> None:
        parameters = {
            "node_id": self._node_id,
            "shard_ids": int4_array(list(new_owners)),
            "new_owners": uuid_array(list(new_owners.values())),
        }
        await self._readers.execute("transfer_shards", parameters)
        for node_id in sorted(set(new_owners.values())) if self._uses_locks else ():
            await self._readers.execute("notify_node", {"node_id": node_id})

    async def wait_for_notification(self, within: timedelta) -> bool:
        connection = self._connection
        if connection is None or not self._uses_locks:
            await asyncio.sleep(within.total_seconds())
            return False
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(within.total_seconds()):
                    while not self._notified.is_set():
                        await wait_until_readable(connection.pgconn.socket)
                        self._read_notifications(connection)
        except (psycopg.Error, OSError) as error:
            await self.close()
            raise LogUnavailable(str(error)) from error
        was_notified = self._notified.is_set()
        self._notified.clear()
        return was_notified

    def _read_notifications(self, connection: Connection) -> None:
        """Read what has arrived outside of statements.

        psycopg's own way to wait for notifications wakes up ten times a second.
        """
        connection.pgconn.consume_input()
        while connection.pgconn.notifies() is not None:
            self._notified.set()

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
            self._refusals.clear("heartbeat")
        except (psycopg.Error, OSError) as error:
            if isinstance(error, psycopg.Error):
                self._refusals.record("heartbeat", error)
            await self.close()
            await self._on_loss()
            raise LogUnavailable(describe_error(error)) from error

    async def _connect(self) -> Connection:
        connection = await self._connector.connect()
        try:
            if self._uses_locks:
                with watchdog(connection, HEARTBEAT_STATEMENT_TIMEOUT):
                    await self._acquire_liveness_lock(connection)
        except BaseException:
            await connection.close()
            raise
        now = asyncio.get_running_loop().time()
        self._trusts_locks_from = (
            now + RECONNECT_GRACE.total_seconds() if self._trusts_locks_from else now
        )
        return connection

    async def _acquire_liveness_lock(self, connection: Connection) -> None:
        # A heartbeat that is lost in a power cut is repeated, so none waits for disk or standby.
        await connection.execute(statement("configure_heartbeat", self._mode))
        connection.add_notify_handler(lambda _: self._notified.set())  # during a statement
        channel = sql.Identifier(f"node_{self._node_id.replace('-', '')}")
        await connection.execute(sql.SQL("listen {}").format(channel))
        await connection.execute(statement("hold_liveness_lock"), {"node_id": self._node_id})

    def _node_from_row(self, row: _NodeRow) -> Node:
        node_id, leaving, silent_seconds, holds_liveness_lock = row
        node = Node(
            node_id=node_id,
            leaving=leaving,
            silent_for=timedelta(seconds=silent_seconds),
            holds_liveness_lock=holds_liveness_lock,
        )
        if asyncio.get_running_loop().time() < self._trusts_locks_from:
            return replace(node, holds_liveness_lock=True)
        return node


@dataclass(frozen=True, slots=True)
class _AnswerRow:
    message_id: str
    answer: bytes


class PostgresInbox:
    """Implements Inbox."""

    def __init__(self, readers: ReaderPool, *, notifies: bool = True) -> None:
        self._readers, self._notifies = readers, notifies

    async def send(self, message: Message) -> None:
        row = {
            "message_id": message.message_id,
            "shard_id": message.shard_id,
            "sender": message.sender,
            "body": message.body,
        }
        await self._readers.execute("send_message", row)
        await self._notify("notify_owner", {"shard_id": message.shard_id})

    async def unanswered(self, shard_ids: Collection[int]) -> Sequence[Message]:
        parameters = {"shard_ids": int4_array(sorted(shard_ids)), "limit": MAX_MESSAGES_PER_READ}
        return await self._readers.fetch(Message, "read_messages", parameters)

    async def answer(self, message: Message, answer: bytes) -> None:
        row = {"message_id": message.message_id, "answer": answer}
        await self._readers.execute("answer_message", row)
        await self._notify("notify_node", {"node_id": message.sender})

    async def answers(self, message_ids: Collection[str]) -> Mapping[str, bytes]:
        parameters = {"message_ids": uuid_array(sorted(message_ids))}
        rows = await self._readers.fetch(_AnswerRow, "read_answers", parameters)
        return {row.message_id: row.answer for row in rows}

    async def prune(self, shard_ids: Collection[int]) -> int:
        parameters = {
            "shard_ids": int4_array(sorted(shard_ids)),
            "after": ANSWER_RETENTION,
            "limit": MAX_MESSAGES_PER_PRUNE,
        }
        return await self._readers.execute("prune_messages", parameters)

    async def _notify(self, name: str, parameters: Mapping[str, object]) -> None:
        if self._notifies:
            await self._readers.execute(name, parameters)
