"""Membership and inbox in memory: the same promises without a database, for simulations and tests.

Time is controlled by the test: a node is silent for as long as `clock` has advanced since its last
heartbeat, and it holds its liveness lock until `close`.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from .inbox import ANSWER_RETENTION, MAX_MESSAGES_PER_PRUNE, MAX_MESSAGES_PER_READ, Message
from .membership import ClusterView, Node


@dataclass(slots=True)
class _NodeRecord:
    seen_at: datetime
    leaving: bool
    holds_liveness_lock: bool = True


@dataclass(slots=True)
class MemoryCluster:
    """The shared state of a cluster, which outlives its nodes."""

    records: dict[str, _NodeRecord] = field(default_factory=dict)
    owners: dict[int, str] = field(default_factory=dict)
    messages: dict[str, Message] = field(default_factory=dict)
    answers: dict[str, bytes] = field(default_factory=dict)
    answered_at: dict[str, datetime] = field(default_factory=dict)
    notifications: defaultdict[str, asyncio.Event] = field(
        default_factory=lambda: defaultdict(asyncio.Event)
    )


class InMemoryMembership:
    """Implements Membership."""

    def __init__(self, nodes: MemoryCluster, node_id: str, clock: Callable[[], datetime]) -> None:
        self.node_id = node_id
        self._nodes, self._clock = nodes, clock

    async def heartbeat(self, *, leaving: bool = False) -> ClusterView:
        self._nodes.records[self.node_id] = _NodeRecord(self._clock(), leaving)
        nodes = {
            node_id: self._node(node_id, record) for node_id, record in self._nodes.records.items()
        }
        return ClusterView(nodes, dict(self._nodes.owners))

    async def acquire(self, shard_ids: Sequence[int], dead: Collection[str]) -> Sequence[int]:
        owners = self._nodes.owners
        free = [shard for shard in shard_ids if shard not in owners or owners[shard] in dead]
        owners.update(dict.fromkeys(free, self.node_id))
        return free

    async def transfer(self, new_owners: Mapping[int, str]) -> None:
        for shard_id, new_owner in new_owners.items():
            if self._nodes.owners.get(shard_id) == self.node_id:
                self._nodes.owners[shard_id] = new_owner
                self._nodes.notifications[new_owner].set()

    async def wait_for_notification(self, within: timedelta) -> bool:
        notification = self._nodes.notifications[self.node_id]
        try:
            async with asyncio.timeout(within.total_seconds()):
                await notification.wait()
        except TimeoutError:
            return False
        notification.clear()
        return True

    async def leave(self) -> None:
        self._nodes.records.pop(self.node_id, None)
        for shard_id, owner in list(self._nodes.owners.items()):
            if owner == self.node_id:
                del self._nodes.owners[shard_id]

    async def close(self) -> None:
        if (record := self._nodes.records.get(self.node_id)) is not None:
            record.holds_liveness_lock = False

    def _node(self, node_id: str, record: _NodeRecord) -> Node:
        return Node(
            node_id=node_id,
            leaving=record.leaving,
            silent_for=self._clock() - record.seen_at,
            holds_liveness_lock=record.holds_liveness_lock,
        )


class InMemoryInbox:
    """Implements Inbox."""

    def __init__(self, nodes: MemoryCluster, clock: Callable[[], datetime]) -> None:
        self._nodes, self._clock = nodes, clock

    async def send(self, message: Message) -> None:
        self._nodes.messages.setdefault(message.message_id, message)
        if (owner := self._nodes.owners.get(message.shard_id)) is not None:
            self._nodes.notifications[owner].set()

    async def unanswered(self, shard_ids: Collection[int]) -> Sequence[Message]:
        waiting = [
            message
            for message in self._nodes.messages.values()
            if message.shard_id in shard_ids and message.message_id not in self._nodes.answers
        ]
        return waiting[:MAX_MESSAGES_PER_READ]

    async def answer(self, message: Message, answer: bytes) -> None:
        if message.message_id in self._nodes.messages:
            self._nodes.answers.setdefault(message.message_id, answer)
            self._nodes.answered_at.setdefault(message.message_id, self._clock())
        self._nodes.notifications[message.sender].set()

    async def answers(self, message_ids: Collection[str]) -> Mapping[str, bytes]:
        answers = self._nodes.answers
        return {
            message_id: answers[message_id] for message_id in message_ids if message_id in answers
        }

    async def prune(self, shard_ids: Collection[int]) -> int:
        now = self._clock()
        old = [
            message_id
            for message_id, answered_at in self._nodes.answered_at.items()
            if now - answered_at > ANSWER_RETENTION
            and self._nodes.messages[message_id].shard_id in shard_ids
        ][:MAX_MESSAGES_PER_PRUNE]
        for message_id in old:
            for record in (self._nodes.messages, self._nodes.answers, self._nodes.answered_at):
                del record[message_id]
        return len(old)
