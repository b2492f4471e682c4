"""What this process has recorded since it began, counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from ...eventstore import RecordedEvent
from ..saga import Saga


class EventCounts:
    """By the type of their saga and their own."""

    def __init__(self) -> None:
        self.events: Counter[tuple[str, str]] = Counter()

    def observe(self, saga: Saga, recorded: Sequence[RecordedEvent]) -> None:
        events, saga_type = self.events, saga.state.saga_type
        for one in recorded:
            events[saga_type, one.type] += 1
