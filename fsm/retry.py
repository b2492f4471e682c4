"""How often a call is tried, and how long it waits in between.

Exponential back-off with a cap and full jitter: the wait is drawn evenly from nothing to the
ceiling, which spreads the retries of many callers best (Marc Brooker, "Exponential Backoff And
Jitter", AWS Architecture Blog, 2015).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

LONGEST_RETRY_AFTER = timedelta(minutes=5)
SHORTEST_RETRY_AFTER = timedelta(milliseconds=100)  # a 0 would be asked for without end


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """`attempts` None is without a limit."""

    attempts: int | None = 5
    first: timedelta = timedelta(milliseconds=500)
    factor: float = 2.0
    cap: timedelta = timedelta(seconds=60)

    def allows_another(self, attempt: int) -> bool:
        return self.attempts is None or attempt < self.attempts

    def ceiling(self, attempt: int) -> timedelta:
        """The longest wait after `attempt`, which counts from 1."""
        assert attempt >= 1
        doublings_to_cap = 64.0  # beyond this any cap is reached, and floats stay finite
        seconds = self.first.total_seconds() * self.factor ** min(attempt - 1, doublings_to_cap)
        return timedelta(seconds=min(seconds, self.cap.total_seconds()))

    def delay(self, attempt: int, jitter: float) -> timedelta:
        """The wait after `attempt`; `jitter` is in [0, 1)."""
        assert 0 <= jitter < 1
        return self.ceiling(attempt) * jitter
