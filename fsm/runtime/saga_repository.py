"""Load sagas from the event log and append their events."""

from __future__ import annotations

from collections.abc import Awaitable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby

from ...eventstore import (
    SHARD_OWNED,
    EventLog,
    InvalidStreamId,
    LogUnavailable,
    NewEvent,
    RecordedEvent,
    StreamId,
    may_have_more,
    shard_of,
)
from ..codec import decode, encode
from ..events import Event, SagaStarted
from ..saga import Saga, replay
from .definition_registry import DefinitionRegistry
from .errors import SagaNotFound, VersionNotReached

EVENTS_PER_READ = 1000  # events of one read


@dataclass(frozen=True, slots=True)
class RecordedSagaEvent:
    """An event of a saga, with its record in the log."""

    event: Event
    recorded: RecordedEvent


class SagaRepository:
    """Loads sagas from the event log and appends their events."""

    def __init__(self, log: EventLog, registry: DefinitionRegistry) -> None:
        self.log, self.registry = log, registry

    def append(
        self, saga_id: str, version: int, events: Sequence[Event], *, at: datetime
    ) -> Awaitable[Sequence[RecordedEvent]]:
        """Append `events` after `version` of the saga; await the result for durability."""
        new = [
            NewEvent(event.type_name, event.schema_version, at, encode(event)) for event in events
        ]
        return self.log.append(StreamId(saga_id), version, new)

    async def read_events(self, saga_id: str) -> list[RecordedSagaEvent]:
        """Return all events of the saga, in order of version. Raises SagaNotFound."""
        entries, has_more = list[RecordedSagaEvent](), True
        while has_more:
            after = entries[-1].recorded.version if entries else 0
            page, has_more = await self.read_events_page(
                saga_id, after=after, limit=EVENTS_PER_READ
            )
            entries += page
        return entries

    async def read_events_page(
        self, saga_id: str, *, after: int, limit: int
    ) -> tuple[list[RecordedSagaEvent], bool]:
        """Return at most `limit` events after a version, and whether there may be more.

        A page has fewer events if they fill PAGE_BYTES. Raises SagaNotFound.
        """
        try:
            stream_id = StreamId(saga_id)
            shard_of(stream_id)
        except InvalidStreamId:
            raise SagaNotFound(saga_id) from None
        # One event more tells whether there is a next page.
        page = await self.log.read_stream(stream_id, after_version=after, limit=limit + 1)
        first = page or await self.log.read_stream(stream_id, limit=1)
        if not first or not _belongs_to_saga(first[0]):
            raise SagaNotFound(saga_id)
        return [_decoded(recorded) for recorded in page[:limit]], may_have_more(page, limit + 1)

    async def load(self, saga_id: str) -> Saga:
        """Return the saga as of now.

        Raises SagaNotFound; CorruptStream or UnreadableEvent for a broken history.
        """
        return await self._replay(saga_id, await self.read_events(saga_id))

    async def load_as_of(
        self, saga_id: str, *, version: int | None = None, at: datetime | None = None
    ) -> Saga:
        """Return the saga as of a version or a time.

        Raises SagaNotFound; VersionNotReached if the saga began later or has no such version.
        """
        entries = await self.read_events(saga_id)
        if version is not None and version > len(entries):
            raise VersionNotReached(saga_id, f"has no version {version}, only {len(entries)}")
        earlier = [
            entry
            for entry in entries
            if (version is None or entry.recorded.version <= version)
            and (at is None or entry.recorded.recorded_at <= at)
        ]
        if not earlier:
            raise VersionNotReached(saga_id, "had not been started at that time")
        return await self._replay(saga_id, earlier)

    async def load_many(self, saga_ids: Iterable[str]) -> dict[str, Saga | Exception]:
        """Return sagas by id; for a broken history, the exception that its replay raises.

        Raises LogUnavailable.
        """
        recorded = await self.log.read_streams([StreamId(saga_id) for saga_id in saga_ids])
        sagas: dict[str, Saga | Exception] = {}
        for saga_id, stream in groupby(recorded, key=lambda event: event.stream_id):
            try:
                sagas[saga_id] = await self._replay(saga_id, [_decoded(event) for event in stream])
            except LogUnavailable:  # says nothing about the history; the caller reads again
                raise
            except Exception as error:  # noqa: BLE001 - one broken history never blocks another
                sagas[saga_id] = error
        return sagas

    async def _replay(self, saga_id: str, entries: Sequence[RecordedSagaEvent]) -> Saga:
        first = entries[0].event
        assert isinstance(first, SagaStarted), "the stream of a saga begins with its start"
        definition = await self.registry.get(first.saga_type, first.definition_version)
        history = ((entry.event, entry.recorded.recorded_at) for entry in entries)
        return replay(definition, saga_id, history)


def _belongs_to_saga(recorded: RecordedEvent) -> bool:
    """False for the stream of a shard, and for a stream that does not begin with SagaStarted."""
    if recorded.version == 1:
        return recorded.type == SagaStarted.type_name
    return recorded.type != SHARD_OWNED


def _decoded(recorded: RecordedEvent) -> RecordedSagaEvent:
    event = decode(recorded.type, recorded.schema_version, recorded.payload)
    return RecordedSagaEvent(event, recorded)
