"""What this process has recorded since it began, counted."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence

from ...eventstore import RecordedEvent
from ..saga import Saga


class EventCounts:
    """By the type of their saga and their own."""

    def __init__(self) -> None:
        self._of_type: defaultdict[str, Counter[str]] = defaultdict(Counter)

    def observe(self, saga: Saga, recorded: Sequence[RecordedEvent]) -> None:
        events = self._of_type[saga.state.saga_type]
        for one in recorded:
            events[one.type] += 1

    @property
    def events(self) -> dict[tuple[str, str], int]:
        return {
            (saga_type, kind): count
            for saga_type, events in self._of_type.items()
            for kind, count in events.items()
        }
