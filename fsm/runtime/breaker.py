"""A breaker a participant: one that does not answer is left alone, and costs nobody an attempt.

    closed ──failures in a row──> open ──its time is over──> half open ──one probe──> closed or open

While it is open, forward calls are held back: they go back to waiting, and no attempt is used up.
Compensations always pass: undoing is worth a try, and a success closes the breaker. When it closes,
whoever was held back is woken in steps, so that the participant is not run over.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from ..outcome import HELD_BACK, Outcome, Verdict
from ..retry import RetryPolicy

FAILURES_TO_OPEN = 20
OPEN_FOR = RetryPolicy(attempts=None, first=timedelta(seconds=2), cap=timedelta(seconds=30))
SPREAD = timedelta(seconds=2)  # over which those who are held back look again
NO_TIME = timedelta()
TROUBLE = (Outcome.UNKNOWN, Outcome.NOT_SENT)


class BreakerState(StrEnum):
    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


CLOSED = BreakerState.CLOSED  # asked for of every call, and found four times faster so


@dataclass(slots=True)
class Breaker:
    """`held` are the sagas that wait for it to close."""

    state: BreakerState = CLOSED
    failures: int = 0
    openings: int = 0
    until: datetime | None = None
    held: set[str] = field(default_factory=set)

    def holds_back(self, now: datetime) -> bool:
        """Whether a forward call must wait. The first one after the time of rest is the probe.

        A probe that is never heard of again is followed by another one.
        """
        if self.state is CLOSED:
            return False
        if self.rest(now):
            return True
        self.state, self.until = BreakerState.HALF_OPEN, now + OPEN_FOR.ceiling(self.openings)
        return False

    def rest(self, now: datetime) -> timedelta:
        """How long nothing forward is sent yet; nothing for the probe."""
        if self.state is CLOSED or self.until is None or self.until > now + OPEN_FOR.cap:
            return NO_TIME  # an end that is farther away was set before the clock stepped back
        return max(self.until - now, NO_TIME)

    def hold(self, saga_id: str, now: datetime, jitter: float) -> Verdict:
        """What is said to a call that is held back: not an attempt, and when to look again."""
        self.held.add(saga_id)
        rest = max((self.until or now) - now, timedelta()) + SPREAD * jitter
        return Verdict(outcome=Outcome.HELD, reason=HELD_BACK, retry_after=rest)

    def saw(self, outcome: Outcome, now: Callable[[], datetime]) -> bool:
        """What a call came to; returns whether the breaker has closed because of it.

        `now` is asked only if the breaker opens.
        """
        if outcome not in TROUBLE:
            if outcome is Outcome.HELD:
                return False  # nothing was sent, so nothing is known
            closed = self.state is not CLOSED
            self.state, self.failures, self.openings = CLOSED, 0, 0
            return closed
        self.failures += 1
        probed = self.state is BreakerState.HALF_OPEN
        if probed or (self.state is CLOSED and self.failures >= FAILURES_TO_OPEN):
            self.state, self.openings = BreakerState.OPEN, self.openings + 1
            self.until = now() + OPEN_FOR.ceiling(self.openings)
        return False

    def take_held(self) -> set[str]:
        held, self.held = self.held, set()
        return held
