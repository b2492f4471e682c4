"""The calls to one participant: how many at a time, how many so far, and how long they took."""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from datetime import timedelta
from typing import Final

from ...call_outcome import Direction, Outcome
from ..concurrency import FairSemaphore
from .participant_settings import DEFAULTS, ParticipantSettings

# From a participant in the same rack to one that uses up the default timeout of a call.
DURATION_BUCKETS: Final = tuple(
    timedelta(milliseconds=limit)
    for limit in (5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000)
)
DURATION_BUCKETS_SECONDS: Final = tuple(bound.total_seconds() for bound in DURATION_BUCKETS)


class ParticipantCalls:
    """The settings of a participant, the limit of its concurrent calls, and counters of them.

    `durations[i]` is the number of calls in bucket i; the last bucket has no upper bound.
    """

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
