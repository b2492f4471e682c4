"""The streams of a shard, read one after the other; only one is in memory at a time.

Pages follow the unique key of the log, stream and version, so a page costs the same anywhere in a
log of any size.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

from ...eventstore import MAX_PAGE_BYTES, RecordedEvent
from ...eventstore.postgres import ReaderPool

EVENTS_PER_READ = 1000
LOWEST_STREAM_ID = "00000000-0000-0000-0000-000000000000"


class StreamReader:
    """Reads whole streams. Raises LogUnavailable."""

    def __init__(self, readers: ReaderPool, *, page: int = EVENTS_PER_READ) -> None:
        self._readers, self._events_a_page = readers, page

    async def read_shard(self, shard_id: int, upto: int) -> AsyncIterator[list[RecordedEvent]]:
        """Yield the events of each stream up to the seq `upto`."""
        stream: list[RecordedEvent] = []
        async for event in self._events(shard_id, upto):
            if stream and event.stream_id != stream[-1].stream_id:
                yield stream
                stream = []
            stream.append(event)
        if stream:
            yield stream

    async def _events(self, shard_id: int, upto: int) -> AsyncIterator[RecordedEvent]:
        position: dict[str, object] = {"after_stream": LOWEST_STREAM_ID, "after_version": 0}
        while page := await self._page(shard_id, upto, position):
            for event in page:
                yield event
            position = {"after_stream": page[-1].stream_id, "after_version": page[-1].version}

    async def _page(
        self, shard_id: int, upto: int, position: dict[str, object]
    ) -> list[RecordedEvent]:
        parameters = {
            "shard_id": shard_id,
            "upto": upto,
            "limit": self._events_a_page,
            "page_bytes": MAX_PAGE_BYTES,
            **position,
        }
        return await self._readers.fetch(RecordedEvent, "read_streams_of_shard", parameters)
