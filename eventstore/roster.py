"""Which nodes there are, and which of them is to drive which shard.

All of this is about liveness only: a node that is wrongly taken for dead loses its shards to the
fence, never an event. A node counts as alive

* while it is heard: a process that is frozen, or whose network is, falls silent; and
* while its session holds its life line: a process that is killed lets go of it at once. A moment of
  silence must come with that, so that a connection that broke and is made again costs nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

FROZEN_AFTER: Final = timedelta(seconds=10)
GONE_AFTER: Final = timedelta(milliseconds=600)


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """As it was last seen. `leaving`: it hands over what it has, and takes nothing."""

    node_id: str
    leaving: bool = False
    silent_for: timedelta = timedelta()
    has_life_line: bool = True

    @property
    def is_alive(self) -> bool:
        patience = FROZEN_AFTER if self.has_life_line else GONE_AFTER
        return self.silent_for < patience


@dataclass(frozen=True, slots=True)
class Roster:
    """`owners` by shard; a shard that is not there is free. `messages_wait`: some may, for this
    node."""

    nodes: Mapping[str, Node] = field(default_factory=dict)
    owners: Mapping[int, str] = field(default_factory=dict)
    messages_wait: bool = True

    def is_alive(self, node_id: str) -> bool:
        node = self.nodes.get(node_id)
        return node is not None and node.is_alive

    @property
    def staying(self) -> list[str]:
        """Who can be given shards, in the order in which all nodes see them."""
        return sorted(
            one.node_id for one in self.nodes.values() if one.is_alive and not one.leaving
        )

    def owned_by(self, node_id: str) -> frozenset[int]:
        return frozenset(shard for shard, owner in self.owners.items() if owner == node_id)
