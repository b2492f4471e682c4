"""Counters of this process: calls by participant, events by saga type."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Sequence
from datetime import timedelta
from typing import Final

from ...eventstore.event import RecordedEvent
from ..call_outcome import Direction, Outcome
from ..saga import Saga
from .calls.participant_settings import DEFAULTS, ParticipantSettings
from .concurrency import FairSemaphore

# From a participant next door to one that uses up the default timeout of a call.
DURATION_BUCKETS: Final = tuple(
    timedelta(milliseconds=most)
    for most in (5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000)
)
DURATION_BUCKETS_SECONDS: Final = tuple(bound.total_seconds() for bound in DURATION_BUCKETS)


class CallMetrics:
    """`durations[i]` is how many calls took up to `BOUNDS[i]`, the last one those above."""

    def __init__(self, limit: int, terms: ParticipantSettings = DEFAULTS) -> None:
        """`limit` calls at a time."""
        self.semaphore, self.settings = FairSemaphore(limit), terms
        self.outcomes: defaultdict[tuple[Direction, Outcome], int] = defaultdict(int)
        self.durations = [0] * (len(DURATION_BUCKETS) + 1)
        self.seconds = 0.0

    def record(self, direction: Direction, outcome: Outcome, seconds: float) -> None:
        self.outcomes[direction, outcome] += 1
        self.durations[bisect_left(DURATION_BUCKETS_SECONDS, seconds)] += 1
        self.seconds += seconds


class EventMetrics:
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
