"""The lease of this node: renewed by every heartbeat, and trusted for a short time only.

It decides what may be answered from memory, never what may be appended: that is the log's decision.
"""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Final, Protocol

# A node that was killed still counts as alive for so long; only then can others claim its shards.
TRUST_WINDOW: Final = timedelta(milliseconds=600)


class LeaseView(Protocol):
    @property
    def is_current(self) -> bool:
        """True while no other node can have claimed a shard of this node without its knowledge."""

    @property
    def is_alone(self) -> bool:
        """True if no other node is alive, as far as a current lease can tell."""


class NodeLease:
    """The lease of a node among others."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._renewed_at: float | None = None
        self._has_live_peers = False

    def observe_peers(self, has_live_peers: bool) -> None:
        """Record whether the last heartbeat has shown other nodes that are alive."""
        self._has_live_peers = has_live_peers

    def renew(self, sent_at: float) -> None:
        """Trust the lease from the time on at which the heartbeat was sent."""
        self._renewed_at = sent_at

    def was_renewed_within(self, limit: timedelta) -> bool:
        """True if the last heartbeat that succeeded is younger than `limit`."""
        if self._renewed_at is None:
            return False
        return self._loop.time() - self._renewed_at < limit.total_seconds()

    @property
    def is_current(self) -> bool:
        return self.was_renewed_within(TRUST_WINDOW)

    @property
    def is_alone(self) -> bool:
        return not self._has_live_peers and self.is_current


class _SoleNode:
    is_current = True
    is_alone = True


SOLE_NODE: Final[LeaseView] = _SoleNode()  # of a process that shares its log with no other
