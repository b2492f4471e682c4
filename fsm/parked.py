"""Where a saga rests undecided: why, and since when. What is not done or undone its steps say."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Parked:
    why: str
    since: datetime
