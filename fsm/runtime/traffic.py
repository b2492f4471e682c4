"""The calls to one participant: whose turn it is, and what they came to since the process began."""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from datetime import timedelta
from typing import Final

from ..outcome import Direction, Outcome
from .terms import USUAL, Terms
from .turns import Turns

# From a participant next door to one that uses up the default timeout of a call.
BOUNDS: Final = tuple(
    timedelta(milliseconds=most)
    for most in (5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000)
)
BOUNDS_SECONDS: Final = tuple(bound.total_seconds() for bound in BOUNDS)


class Traffic:
    """`durations[i]` is how many calls took up to `BOUNDS[i]`, the last one those above."""

    def __init__(self, limit: int, terms: Terms = USUAL) -> None:
        """`limit` calls at a time."""
        self.turns, self.terms = Turns(limit), terms
        self.outcomes: defaultdict[tuple[Direction, Outcome], int] = defaultdict(int)
        self.durations = [0] * (len(BOUNDS) + 1)
        self.seconds = 0.0

    def count(self, direction: Direction, outcome: Outcome, seconds: float) -> None:
        self.outcomes[direction, outcome] += 1
        self.durations[bisect_left(BOUNDS_SECONDS, seconds)] += 1
        self.seconds += seconds
