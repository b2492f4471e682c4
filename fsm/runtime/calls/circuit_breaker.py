"""A breaker a participant: one that does not answer is left alone, and costs nobody an attempt.

    closed ──failures in a row──> open ──its time is over──> half open ──one probe──> closed or open

While it is open, forward calls are held back: they go back to waiting, and no attempt is used up.
Compensations always pass: undoing is worth a try, and a success closes the breaker. When it closes,
whoever was held back is woken in steps, so that the participant is not run over.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from ...call_outcome import CIRCUIT_OPEN_REASON, CallOutcome, Outcome
from ...definitions.retry import RetryPolicy
from ...inputs import CircuitClosed

if TYPE_CHECKING:
    from ..driver import Driver


FAILURES_TO_OPEN = 20
OPEN_DURATION = RetryPolicy(attempts=None, first=timedelta(seconds=2), cap=timedelta(seconds=30))
RECHECK_SPREAD = timedelta(seconds=2)  # over which those who are held back look again
NO_TIME = timedelta()
FAILURES = (Outcome.UNKNOWN, Outcome.NOT_SENT)


class CircuitState(StrEnum):
    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


CLOSED = CircuitState.CLOSED  # asked for of every call, and found four times faster so


@dataclass(slots=True)
class CircuitBreaker:
    """`held` are the sagas that wait for it to close."""

    state: CircuitState = CLOSED
    failures: int = 0
    openings: int = 0
    open_until: datetime | None = None
    held: set[str] = field(default_factory=set)

    def should_hold(self, now: datetime) -> bool:
        """Whether a forward call must wait. The first one after the time of rest is the probe.

        A probe that is never heard of again is followed by another one.
        """
        if self.state is CLOSED:
            return False
        if self.remaining(now):
            return True
        self.state, self.open_until = (
            CircuitState.HALF_OPEN,
            now + OPEN_DURATION.max_delay(self.openings),
        )
        return False

    def remaining(self, now: datetime) -> timedelta:
        """How long nothing forward is sent yet; nothing for the probe."""
        if (
            self.state is CLOSED
            or self.open_until is None
            or self.open_until > now + OPEN_DURATION.cap
        ):
            return NO_TIME  # an end that is farther away was set before the clock stepped back
        return max(self.open_until - now, NO_TIME)

    def hold(self, saga_id: str, now: datetime, jitter: float) -> CallOutcome:
        """What is said to a call that is held back: not an attempt, and when to look again."""
        self.held.add(saga_id)
        rest = max((self.open_until or now) - now, timedelta()) + RECHECK_SPREAD * jitter
        return CallOutcome(kind=Outcome.CIRCUIT_OPEN, reason=CIRCUIT_OPEN_REASON, retry_after=rest)

    def record(self, outcome: Outcome, now: Callable[[], datetime]) -> bool:
        """What a call came to; returns whether the breaker has closed because of it.

        `now` is asked only if the breaker opens.
        """
        if outcome not in FAILURES:
            if outcome is Outcome.CIRCUIT_OPEN:
                return False  # nothing was sent, so nothing is known
            closed = self.state is not CLOSED
            self.state, self.failures, self.openings = CLOSED, 0, 0
            return closed
        self.failures += 1
        probed = self.state is CircuitState.HALF_OPEN
        if probed or (self.state is CLOSED and self.failures >= FAILURES_TO_OPEN):
            self.state, self.openings = CircuitState.OPEN, self.openings + 1
            self.open_until = now() + OPEN_DURATION.max_delay(self.openings)
        return False

    def take_held(self) -> set[str]:
        held, self.held = self.held, set()
        return held


SAGAS_PER_WAKE: Final = 50
WAKE_PAUSE_SECONDS: Final = 0.1
NO_SHARD: Final = -1  # its sagas are of many


class CircuitWaker:
    def __init__(self, driver: Driver) -> None:
        self.driver = driver

    def on_circuit_closed(self, participant: str, saga_ids: set[str]) -> None:
        work = self._wake(participant, sorted(saga_ids))
        self.driver.tasks.spawn(NO_SHARD, work, calls=False)

    async def _wake(self, participant: str, saga_ids: list[str]) -> None:
        for number, saga_id in enumerate(saga_ids):
            if number % SAGAS_PER_WAKE == SAGAS_PER_WAKE - 1:
                await asyncio.sleep(WAKE_PAUSE_SECONDS)
            self.driver.wake(saga_id, CircuitClosed(participant))
