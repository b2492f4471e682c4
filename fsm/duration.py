"""Durations as people write them: `500ms`, `10s`, `1.5m`, `24h`."""

from __future__ import annotations

import re
from datetime import timedelta

DURATION = re.compile(r"(\d{1,9}(?:\.\d{1,6})?)(ms|s|m|h|d)", re.ASCII)
UNITS = {
    "ms": timedelta(milliseconds=1),
    "s": timedelta(seconds=1),
    "m": timedelta(minutes=1),
    "h": timedelta(hours=1),
    "d": timedelta(days=1),
}
LONGEST = timedelta(days=3660)


def parse_duration(text: str) -> timedelta:
    """Raises ValueError if `text` has no unit, is no duration, or is longer than ten years."""
    if (parts := DURATION.fullmatch(text)) is None:
        raise ValueError(
            f"{text!r} is not a duration; write a number and a unit, like 500ms, 10s, 5m"
        )
    duration = float(parts[1]) * UNITS[parts[2]]
    if duration > LONGEST:
        raise ValueError(f"{text!r} is longer than ten years")
    return duration


def format_duration(duration: timedelta) -> str:
    """In the largest unit that keeps it a whole number."""
    for unit in ("d", "h", "m", "s"):
        if duration and duration % UNITS[unit] == timedelta():
            return f"{duration // UNITS[unit]}{unit}"
    return f"{duration / UNITS['ms']:.3f}".rstrip("0").rstrip(".") + "ms"
