"""How often a call is tried, and how long it waits in between.

Exponential back-off with a cap and full jitter: the wait is drawn evenly from nothing to the
ceiling, which spreads the retries of many callers best (Marc Brooker, "Exponential Backoff And
Jitter", AWS Architecture Blog, 2015).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

MAX_RETRY_AFTER = timedelta(minutes=5)
MIN_REPETITION_DELAY = timedelta(seconds=1)
UNTHROTTLED_REPETITIONS = 10  # what is repeated more often than this slows down


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """`attempts` None is without a limit."""

    attempts: int | None = 5
    first: timedelta = timedelta(milliseconds=500)
    factor: float = 2.0
    cap: timedelta = timedelta(seconds=60)

    def allows_another(self, attempt: int) -> bool:
        return self.attempts is None or attempt < self.attempts

    def max_delay(self, attempt: int) -> timedelta:
        """The longest wait after `attempt`, which counts from 1."""
        assert attempt >= 1
        doublings_to_cap = 64.0  # beyond this any cap is reached, and floats stay finite
        seconds = self.first.total_seconds() * self.factor ** min(attempt - 1, doublings_to_cap)
        return timedelta(seconds=min(seconds, self.cap.total_seconds()))

    def delay(self, attempt: int, jitter: float) -> timedelta:
        """The wait after `attempt`; `jitter` is in [0, 1).

        However short its waits are declared, a call does not hammer its participant.
        """
        assert 0 <= jitter < 1
        wait = self.max_delay(attempt) * jitter
        return max(wait, MIN_REPETITION_DELAY) if attempt > UNTHROTTLED_REPETITIONS else wait

    def repetition_delay(self, interval: timedelta, times: int) -> timedelta:
        """The wait after an answer that uses no attempt up and has come `times` times in a row.

        It stays `interval` for the first ones and then doubles up to the cap; a longer interval is
        kept.
        """
        interval = max(interval, MIN_REPETITION_DELAY)
        doublings = min(times - UNTHROTTLED_REPETITIONS, 64)
        if doublings <= 0:
            return interval
        seconds = min(interval.total_seconds() * 2.0**doublings, self.cap.total_seconds())
        return max(interval, timedelta(seconds=seconds))
