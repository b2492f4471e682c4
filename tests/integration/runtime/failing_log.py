"""A log in memory that refuses when a test wants it to, and says what is in it."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence

from saga_orchestrator.eventstore.event import NewEvent, RecordedEvent, StreamId
from saga_orchestrator.eventstore.event_log import DEFAULT_PAGE_EVENTS
from saga_orchestrator.eventstore.memory import InMemoryLog, MemoryStore


class TroubledLog(InMemoryLog):
    """`troubles` are raised by the next appends, one each; `slow` makes them wait until it is set.

    `unreadable` are raised by the next reads of a stream.

    With `lands`, an append that is refused is recorded all the same: its commit was ambiguous.
    """

    def __init__(self, store: MemoryStore | None = None) -> None:
        super().__init__(store)
        self.troubles: deque[Exception] = deque()
        self.unreadable: deque[Exception] = deque()
        self.lands = False
        self.slow: asyncio.Event | None = None
        self.asked = asyncio.Event()
        self.refused = 0
        self._news = asyncio.Event()

    async def append(
        self, stream_id: StreamId, expected_version: int, events: Sequence[NewEvent]
    ) -> Sequence[RecordedEvent]:
        self.asked.set()
        if self.slow is not None:
            await self.slow.wait()
        if self.troubles:
            self.refused += 1
            if self.lands:
                await super().append(stream_id, expected_version, events)
            raise self.troubles.popleft()
        recorded = await super().append(stream_id, expected_version, events)
        self._news.set()
        return recorded

    async def read_stream(
        self, stream_id: StreamId, *, after_version: int = 0, limit: int = DEFAULT_PAGE_EVENTS
    ) -> Sequence[RecordedEvent]:
        if self.unreadable:
            raise self.unreadable.popleft()
        return await super().read_stream(stream_id, after_version=after_version, limit=limit)

    async def recorded(self, saga_id: str, kind: str) -> None:
        """Until an event of that type is in the stream of the saga."""
        while kind not in self.types(saga_id):
            self._news.clear()
            await self._news.wait()

    def types(self, saga_id: str) -> list[str]:
        """What was recorded of a saga, by the names of its events."""
        return [event.type for event in self.store.streams.get(StreamId(saga_id), ())]
