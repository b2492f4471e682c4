"""Counters of this process: events by saga type."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence

from ...eventstore import RecordedEvent
from ..saga import Saga


class EventMetrics:
    """Counters by saga type and event type."""

    def __init__(self) -> None:
        self._of_type: defaultdict[str, Counter[str]] = defaultdict(Counter)

    def observe(self, saga: Saga, recorded: Sequence[RecordedEvent]) -> None:
        """Count the events of one decision."""
        counts = self._of_type[saga.state.saga_type]
        for event in recorded:
            counts[event.type] += 1

    @property
    def events(self) -> dict[tuple[str, str], int]:
        """Counts by saga type and event type."""
        return {
            (saga_type, event_type): count
            for saga_type, counts in self._of_type.items()
            for event_type, count in counts.items()
        }
