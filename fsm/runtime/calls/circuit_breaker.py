"""Circuit breakers: a participant that does not respond gets no forward calls for a while.

    closed ──failures in a row──> open ──its time is over──> half open ──one probe──> closed or open

While a circuit is open, forward calls are held: their sagas wait, and no attempt is used up.
Compensations always pass, and a success closes the circuit. When it closes, the sagas whose calls
were held are woken in batches, so that the participant is not overrun.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from ...call_outcome import CIRCUIT_OPEN_REASON, CallOutcome, Outcome
from ...definitions.retry import RetryPolicy
from ...inputs import CircuitClosed

FAILURES_TO_OPEN = 20
OPEN_DURATION = RetryPolicy(attempts=None, first=timedelta(seconds=2), cap=timedelta(seconds=30))
RECHECK_SPREAD = timedelta(seconds=2)  # over which held calls are tried again
NO_TIME = timedelta()
FAILURES = (Outcome.UNKNOWN, Outcome.NOT_SENT)


class CircuitState(StrEnum):
    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


@dataclass(slots=True)
class CircuitBreaker:
    """The circuit of one participant. `held` are the sagas that wait for it to close."""

    state: CircuitState = CircuitState.CLOSED
    failures: int = 0
    openings: int = 0
    open_until: datetime | None = None
    held: set[str] = field(default_factory=set)

    @property
    def is_closed(self) -> bool:
        return self.state is CircuitState.CLOSED

    def should_hold(self, now: datetime) -> bool:
        """True if a forward call must wait. The first call after the open time is the probe.

        A probe without a result is followed by another one.
        """
        if self.is_closed:
            return False
        if self.remaining(now):
            return True
        self.state, self.open_until = (
            CircuitState.HALF_OPEN,
            now + OPEN_DURATION.max_delay(self.openings),
        )
        return False

    def remaining(self, now: datetime) -> timedelta:
        """Return how long forward calls are still held; zero lets the probe pass."""
        if self.is_closed or self.open_until is None or self.open_until > now + OPEN_DURATION.cap:
            return NO_TIME  # an end farther away was set before the clock stepped back
        return max(self.open_until - now, NO_TIME)

    def hold(self, saga_id: str, now: datetime, jitter: float) -> CallOutcome:
        """Hold a call of the saga; return an outcome that is no attempt, with the time to retry."""
        self.held.add(saga_id)
        rest = max((self.open_until or now) - now, timedelta()) + RECHECK_SPREAD * jitter
        return CallOutcome(kind=Outcome.CIRCUIT_OPEN, reason=CIRCUIT_OPEN_REASON, retry_after=rest)

    def record(self, outcome: Outcome, now: datetime) -> bool:
        """Count the outcome of a call; return True if it closes the circuit."""
        if outcome not in FAILURES:
            if outcome is Outcome.CIRCUIT_OPEN:
                return False  # nothing was sent, so nothing is known
            was_open = not self.is_closed
            self.state, self.failures, self.openings = CircuitState.CLOSED, 0, 0
            return was_open
        self.failures += 1
        is_probe = self.state is CircuitState.HALF_OPEN
        if is_probe or (self.is_closed and self.failures >= FAILURES_TO_OPEN):
            self.state, self.openings = CircuitState.OPEN, self.openings + 1
            self.open_until = now + OPEN_DURATION.max_delay(self.openings)
        return False

    def take_held(self) -> set[str]:
        """Return the held sagas, and forget them."""
        held, self.held = self.held, set()
        return held


SAGAS_PER_WAKE: Final = 50
WAKE_PAUSE_SECONDS: Final = 0.1


async def wake_in_batches(
    participant: str, saga_ids: Collection[str], wake: Callable[[str, CircuitClosed], None]
) -> None:
    """Wake held sagas in batches: a participant that has just recovered must not be overrun."""
    for number, saga_id in enumerate(sorted(saga_ids)):
        if number % SAGAS_PER_WAKE == SAGAS_PER_WAKE - 1:
            await asyncio.sleep(WAKE_PAUSE_SECONDS)
        wake(saga_id, CircuitClosed(participant))
