"""Retry policies: how often a call is attempted, and how long to wait between the attempts.

Exponential back-off with a cap and full jitter: the wait is drawn evenly from nothing to the
ceiling, which spreads the retries of many callers best (Marc Brooker, "Exponential Backoff And
Jitter", AWS Architecture Blog, 2015).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

MAX_RETRY_AFTER = timedelta(minutes=5)
MIN_REPETITION_DELAY = timedelta(seconds=1)
UNTHROTTLED_REPETITIONS = 10  # repetitions that are not slowed down


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """Exponential back-off with a cap; `attempts` is None if there is no limit."""

    attempts: int | None = 5
    first: timedelta = timedelta(milliseconds=500)
    factor: float = 2.0
    cap: timedelta = timedelta(seconds=60)

    def allows_another(self, attempt: int) -> bool:
        return self.attempts is None or attempt < self.attempts

    def max_delay(self, attempt: int) -> timedelta:
        """Return the longest wait after `attempt`, which counts from 1."""
        assert attempt >= 1
        doublings_to_cap = 64.0  # beyond this any cap is reached, and floats stay finite
        seconds = self.first.total_seconds() * self.factor ** min(attempt - 1, doublings_to_cap)
        return timedelta(seconds=min(seconds, self.cap.total_seconds()))

    def delay(self, attempt: int, jitter: float) -> timedelta:
        """Return the wait after `attempt`; `jitter` is in [0, 1).

        After the tenth attempt it is at least a second, however short the declared waits are.
        """
        assert 0 <= jitter < 1
        wait = self.max_delay(attempt) * jitter
        return max(wait, MIN_REPETITION_DELAY) if attempt > UNTHROTTLED_REPETITIONS else wait

    def repetition_delay(self, interval: timedelta, times: int) -> timedelta:
        """Return the wait after a reply that consumes no attempt and has come `times` in a row.

        The wait is `interval` for the first ten, then doubles up to the cap; an interval longer
        than the cap is kept.
        """
        interval = max(interval, MIN_REPETITION_DELAY)
        doublings = min(times - UNTHROTTLED_REPETITIONS, 64)
        if doublings <= 0:
            return interval
        seconds = min(interval.total_seconds() * 2.0**doublings, self.cap.total_seconds())
        return max(interval, timedelta(seconds=seconds))
