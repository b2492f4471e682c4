"""Counters of this process: calls by participant, events by saga type."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Sequence
from datetime import timedelta
from typing import Final

from ...eventstore import RecordedEvent
from ..call_outcome import Direction, Outcome
from ..saga import Saga
from .calls.participant_settings import DEFAULTS, ParticipantSettings
from .concurrency import FairSemaphore

# From a participant in the same rack to one that uses up the default timeout of a call.
DURATION_BUCKETS: Final = tuple(
    timedelta(milliseconds=limit)
    for limit in (5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000)
)
DURATION_BUCKETS_SECONDS: Final = tuple(bound.total_seconds() for bound in DURATION_BUCKETS)


class CallMetrics:
    """Counters of one participant. `durations[i]` is the number of calls in bucket i; the last
    bucket has no upper bound."""

    def __init__(self, limit: int, settings: ParticipantSettings = DEFAULTS) -> None:
        """Allow `limit` calls at a time."""
        self.semaphore, self.settings = FairSemaphore(limit), settings
        self.outcomes: defaultdict[tuple[Direction, Outcome], int] = defaultdict(int)
        self.durations = [0] * (len(DURATION_BUCKETS) + 1)
        self.seconds = 0.0

    @property
    def in_flight(self) -> int:
        return self.semaphore.acquired

    @property
    def queued(self) -> int:
        return self.semaphore.waiting

    def record(self, direction: Direction, outcome: Outcome, seconds: float) -> None:
        """Count one finished call."""
        self.outcomes[direction, outcome] += 1
        self.durations[bisect_left(DURATION_BUCKETS_SECONDS, seconds)] += 1
        self.seconds += seconds


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
