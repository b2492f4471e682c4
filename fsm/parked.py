"""Where a saga rests undecided: why, and since when. What is not done or undone its steps say."""

from __future__ import annotations

from datetime import datetime

from msgspec import Struct


class Parked(Struct, frozen=True, kw_only=True):
    """`without_output` as of the event, None where that does not say."""

    why: str
    since: datetime
    without_output: tuple[str, ...] | None = ()
