"""Membership of a node in its cluster: heartbeats, which nodes are alive, which node drives which
shard.

All of this is about liveness only: a node that is wrongly taken for dead loses its shards to
the fence, never an event. A node counts as alive

* while its heartbeats arrive: a frozen process, or one whose network is down, stops sending
  them; and
* while its session holds its liveness lock: a killed process releases it at once. A moment of
  silence must come with that, so that a connection that broke and is made again costs nothing.

Two implementations exist, PostgreSQL and memory, and one contract suite holds for both.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final, Protocol

HEARTBEAT_TIMEOUT: Final = timedelta(seconds=10)
UNLOCKED_HEARTBEAT_TIMEOUT: Final = timedelta(milliseconds=600)


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """A node as it was last seen. One that is `leaving` transfers its shards and acquires none."""

    node_id: str
    leaving: bool = False
    silent_for: timedelta = timedelta()
    holds_liveness_lock: bool = True

    @property
    def is_alive(self) -> bool:
        timeout = HEARTBEAT_TIMEOUT if self.holds_liveness_lock else UNLOCKED_HEARTBEAT_TIMEOUT
        return self.silent_for < timeout


@dataclass(frozen=True, slots=True)
class ClusterView:
    """The nodes and the owners of shards, as one node sees them.

    A shard without an owner is free. `has_messages` is True if messages may wait for this node.
    """

    nodes: Mapping[str, Node] = field(default_factory=dict)
    owners: Mapping[int, str] = field(default_factory=dict)
    has_messages: bool = True

    def is_alive(self, node_id: str) -> bool:
        node = self.nodes.get(node_id)
        return node is not None and node.is_alive

    @property
    def staying_nodes(self) -> list[str]:
        """The nodes that can be given shards, in an order that is the same for all nodes."""
        return sorted(
            node.node_id for node in self.nodes.values() if node.is_alive and not node.leaving
        )

    def shards_owned_by(self, node_id: str) -> frozenset[int]:
        return frozenset(shard for shard, owner in self.owners.items() if owner == node_id)


class Membership(Protocol):
    """The part of one node in its cluster.

    Every method raises LogUnavailable if the database does not answer.
    """

    @property
    def node_id(self) -> str:
        """The name of this process, drawn anew at every start."""

    async def heartbeat(self, *, leaving: bool = False) -> ClusterView:
        """Record that this node is alive, and return what it sees of the cluster."""

    async def acquire(self, shard_ids: Sequence[int], dead: Collection[str]) -> Sequence[int]:
        """Acquire free shards and those of dead nodes, whose sessions are ended.

        Returns the shards acquired: another node may have been faster for some.
        """

    async def transfer(self, new_owners: Mapping[int, str]) -> None:
        """Transfer shards of this node to other nodes, by shard, and notify those."""

    async def wait_for_notification(self, within: timedelta) -> bool:
        """Wait until another node notifies this one. False if none does in time."""

    async def leave(self) -> None:
        """Free the shards of this node, and expect no further heartbeat of it."""

    async def close(self) -> None:
        """Close the connection, as a process that dies does. Safe to repeat."""
