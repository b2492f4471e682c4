"""Kills of nodes, one after the other, at times and in an order drawn from a seed.

A node is not killed before the last victim is ready again, so one of them always serves. A victim
is down for longer than the others need to take its shards over (1.5 s): shards that change their
owner in that time were taken from a dead node, later ones are given to a node that came back.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from saga_orchestrator.tests.acceptance.process import ServerProcess

QUIET_SECONDS = (1.0, 4.0)  # from the return of a victim to the next kill
DOWN_TIME = timedelta(seconds=2)
READY_TIMEOUT = timedelta(seconds=60)
POLL_INTERVAL = timedelta(milliseconds=50)


@dataclass(slots=True)
class Kill:
    node: str
    at: datetime
    until: datetime | None = None  # the next start of the node

    def __str__(self) -> str:
        return f"{self.node} is killed"


class NodeKiller:
    """`nodes` must serve when `run` begins. `is_ready` gets the name of a node."""

    def __init__(
        self,
        nodes: Mapping[str, ServerProcess],
        is_ready: Callable[[str], Awaitable[bool]],
        seed: int,
        say: Callable[[str], None],
    ) -> None:
        self.nodes, self.is_ready, self.report = nodes, is_ready, say
        self.kills: list[Kill] = []
        self._drawn = draw_kills(seed, sorted(nodes))

    async def run(self) -> None:
        """Kill nodes until cancelled."""
        while True:
            await self.step()

    async def step(self) -> None:
        """Kill a node; return when it is ready again."""
        quiet_seconds, name = next(self._drawn)
        await asyncio.sleep(quiet_seconds)
        kill = Kill(name, datetime.now(UTC))
        self.nodes[name].kill()
        self.kills.append(kill)
        self.report(f"kill {len(self.kills)}: {kill}")
        await asyncio.sleep(DOWN_TIME.total_seconds())
        kill.until = datetime.now(UTC)
        await self.restart_dead_nodes()

    async def restart_dead_nodes(self) -> None:
        """Start the nodes that are down; return when every node is ready."""
        for name, node in self.nodes.items():
            if not node.is_alive:
                node.launch()
            async with asyncio.timeout(READY_TIMEOUT.total_seconds()):
                while not await self.is_ready(name):
                    assert node.is_alive, f"{name} ended: {node.log.read_text()[-2000:]}"
                    await asyncio.sleep(POLL_INTERVAL.total_seconds())


def draw_kills(seed: int, names: Sequence[str]) -> Iterator[tuple[float, str]]:
    """Yield, without end, seconds without a kill and the node to kill then."""
    generator = random.Random(seed)
    while True:
        yield generator.uniform(*QUIET_SECONDS), generator.choice(names)
