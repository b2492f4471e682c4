"""A node among nodes: its sign of life, what it sees of the others, who drives which shard.

Two implementations exist, PostgreSQL and memory, and one contract suite holds for both.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import timedelta
from typing import Protocol

from .roster import Roster


class Membership(Protocol):
    """Every method raises LogUnavailable when the database does not answer."""

    @property
    def node_id(self) -> str:
        """Of this process: drawn anew at every start."""

    async def beat(self, *, leaving: bool = False) -> Roster:
        """Give a sign of life; returns everybody's."""

    async def reserve(self, shard_ids: Sequence[int], dead: Collection[str]) -> Sequence[int]:
        """Take free shards, and those of dead nodes, whose sessions are ended; returns those that
        nobody else was faster to take."""

    async def hand_over(self, heirs: Mapping[int, str]) -> None:
        """Give shards that are ours to the nodes named, which are nudged."""

    async def nudged(self, within: timedelta) -> bool:
        """Wait until somebody says that something waits for this node, or the time is over; return
        whether somebody has said so."""

    async def leave(self) -> None:
        """What is still ours becomes free, and nobody expects a sign of life any more."""

    async def close(self) -> None:
        """Let go of the connection, as a process that dies does. Safe to repeat."""
