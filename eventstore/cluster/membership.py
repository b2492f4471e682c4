"""Membership of a node in its cluster: heartbeats, which nodes are alive, which node drives which
shard.

All of this is about liveness only: a node that is wrongly taken for dead loses its shards to
the fence, never an event. A node counts as alive

* while its heartbeats arrive: a frozen process, or one whose network is down, stops sending
  them; and
* while its session holds its liveness lock: a killed process releases it at once. A moment of
  silence must come with that, so that a connection that broke and is made again costs nothing.

Two implementations exist, PostgreSQL and memory, and one contract suite holds for both."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final, Protocol

HEARTBEAT_TIMEOUT: Final = timedelta(seconds=10)
UNLOCKED_HEARTBEAT_TIMEOUT: Final = timedelta(milliseconds=600)


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """As it was last seen. `leaving`: it hands over what it has, and takes nothing."""

    node_id: str
    leaving: bool = False
    silent_for: timedelta = timedelta()
    holds_liveness_lock: bool = True

    @property
    def is_alive(self) -> bool:
        patience = HEARTBEAT_TIMEOUT if self.holds_liveness_lock else UNLOCKED_HEARTBEAT_TIMEOUT
        return self.silent_for < patience


@dataclass(frozen=True, slots=True)
class ClusterView:
    """`owners` by shard; a shard that is not there is free. `has_messages`: some may, for this
    node."""

    nodes: Mapping[str, Node] = field(default_factory=dict)
    owners: Mapping[int, str] = field(default_factory=dict)
    has_messages: bool = True

    def is_alive(self, node_id: str) -> bool:
        node = self.nodes.get(node_id)
        return node is not None and node.is_alive

    @property
    def staying_nodes(self) -> list[str]:
        """Who can be given shards, in the order in which all nodes see them."""
        return sorted(
            one.node_id for one in self.nodes.values() if one.is_alive and not one.leaving
        )

    def shards_owned_by(self, node_id: str) -> frozenset[int]:
        return frozenset(shard for shard, owner in self.owners.items() if owner == node_id)


class Membership(Protocol):
    """Every method raises LogUnavailable when the database does not answer."""

    @property
    def node_id(self) -> str:
        """Of this process: drawn anew at every start."""

    async def heartbeat(self, *, leaving: bool = False) -> ClusterView:
        """Give a sign of life; returns everybody's."""

    async def acquire(self, shard_ids: Sequence[int], dead: Collection[str]) -> Sequence[int]:
        """Take free shards, and those of dead nodes, whose sessions are ended; returns those that
        nobody else was faster to take."""

    async def transfer(self, heirs: Mapping[int, str]) -> None:
        """Give shards that are ours to the nodes named, which are nudged."""

    async def wait_for_notification(self, within: timedelta) -> bool:
        """Wait until somebody says that something waits for this node, or the time is over; return
        whether somebody has said so."""

    async def leave(self) -> None:
        """What is still ours becomes free, and nobody expects a sign of life any more."""

    async def close(self) -> None:
        """Let go of the connection, as a process that dies does. Safe to repeat."""
