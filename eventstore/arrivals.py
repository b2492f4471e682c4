"""What waits for the writer: bounded, in order of arrival, handed out a batch at a time."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar, Final

from .batch import Append
from .errors import LogOverloaded, LogUnavailable

# A batch is one statement: big enough to share a commit, small enough not to hold up the next.
MAX_BATCH_EVENTS: Final = 512
MAX_BATCH_BYTES: Final = 4 * 1024 * 1024
# What may wait while the database is away: a few seconds of full load, then callers are told.
MAX_WAITING: Final = 20_000
MAX_WAITING_BYTES: Final = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True, eq=False)
class Claim:
    """The shards that a caller wants to own; `done` gives their epochs."""

    shard_ids: Sequence[int]
    recorded_at: datetime
    done: asyncio.Future[Mapping[int, int]]
    size: ClassVar[int] = 0


@dataclass(frozen=True, slots=True, eq=False)
class Release:
    """The shards that a caller does not want to own any more."""

    shard_ids: Sequence[int]
    done: asyncio.Future[None]
    size: ClassVar[int] = 0


Work = Claim | Release | list[Append]
Arrival = Append | Claim | Release


class Arrivals:
    def __init__(self) -> None:
        self._waiting: deque[Arrival] = deque()
        self._bytes = 0
        self._something = asyncio.Event()
        self._closed = False

    def put(self, arrival: Arrival) -> None:
        """Raises LogUnavailable when closed, LogOverloaded when full."""
        if self._closed:
            raise LogUnavailable("closed")
        waiting = self._waiting
        if not waiting:  # or else it has been set already
            self._something.set()
        elif len(waiting) >= MAX_WAITING or self._bytes >= MAX_WAITING_BYTES:
            raise LogOverloaded(len(waiting))
        waiting.append(arrival)
        self._bytes += arrival.size

    async def take(self) -> Work | None:
        """A claim, a release or the appends of one batch, in order; None when closed and empty."""
        while not self._waiting:
            if self._closed:
                return None
            self._something.clear()
            await self._something.wait()
        first = self._pop()
        return self._gather(first) if isinstance(first, Append) else first

    def close(self) -> None:
        """Accept nothing more; what waits is still handed out."""
        self._closed = True
        self._something.set()

    def drain(self) -> list[Arrival]:
        """Everything that waits, handed out at once."""
        return [self._pop() for _ in range(len(self._waiting))]

    def _gather(self, first: Append) -> list[Append]:
        batch = [first]
        waiting = self._waiting
        events, size = len(first.events), first.size
        for arrival in waiting:
            if not isinstance(arrival, Append):
                break
            events += len(arrival.events)
            bigger = size + arrival.size
            if events > MAX_BATCH_EVENTS or bigger > MAX_BATCH_BYTES:
                break
            size = bigger
            batch.append(arrival)
        for _ in range(len(batch) - 1):
            waiting.popleft()
        self._bytes -= size - first.size
        return batch

    def _pop(self) -> Arrival:
        arrival = self._waiting.popleft()
        self._bytes -= arrival.size
        return arrival
