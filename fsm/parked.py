"""Where a saga rests undecided: why, since when, and exactly what is not done or not undone."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Parked:
    why: str
    since: datetime
    not_done: tuple[str, ...]
    not_undone: tuple[str, ...]
