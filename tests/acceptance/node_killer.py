"""Kills nodes, one after the other, at times and in an order that a seed has drawn.

The next one is not killed before the last one is ready again, so one of them always serves. A
killed node is away for longer than the others need to take its shards over (1.5 s): what changes
hands in that time was taken from the dead; what does so later was given to a node that came back.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from saga_orchestrator.tests.acceptance.process import ServerProcess

QUIET_SECONDS = (1.0, 4.0)  # from the return of one node to the death of the next
DOWN_TIME = timedelta(seconds=2)
READY_TIMEOUT = timedelta(seconds=60)
POLL_INTERVAL = timedelta(milliseconds=50)


@dataclass(slots=True)
class Kill:
    node: str
    at: datetime
    until: datetime | None = None  # its next start

    def __str__(self) -> str:
        return f"{self.node} is killed"


class NodeKiller:
    """`nodes` serve when `run` begins. `is_ready` is asked of their names."""

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
        """Until it is cancelled."""
        while True:
            await self.step()

    async def step(self) -> None:
        """One kill; returns when the victim is ready again."""
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
        """Returns when every node is ready."""
        for name, node in self.nodes.items():
            if not node.is_alive:
                node.launch()
            async with asyncio.timeout(READY_TIMEOUT.total_seconds()):
                while not await self.is_ready(name):
                    assert node.is_alive, f"{name} ended: {node.log.read_text()[-2000:]}"
                    await asyncio.sleep(POLL_INTERVAL.total_seconds())


def draw_kills(seed: int, names: Sequence[str]) -> Iterator[tuple[float, str]]:
    """For how long all live, and who is killed then; without end."""
    chance = random.Random(seed)
    while True:
        yield chance.uniform(*QUIET_SECONDS), chance.choice(names)
