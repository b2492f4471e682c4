"""Durations as texts: `500ms`, `10s`, `1.5m`, `24h`."""

from __future__ import annotations

import re
from datetime import timedelta

DURATION = re.compile(r"(\d{1,9}(?:\.\d{1,6})?)(ms|s|m|h|d)", re.ASCII)
ANY_LENGTH = re.compile(r"\d+(?:\.\d+)?(?:ms|s|m|h|d)", re.ASCII)
SEVERAL_UNITS = re.compile(r"(?:\d+(?:\.\d+)?(?:ms|s|m|h|d) ?){2,}", re.ASCII)
MAX_SHOWN_CHARACTERS = 40  # characters
UNITS = {
    "ms": timedelta(milliseconds=1),
    "s": timedelta(seconds=1),
    "m": timedelta(minutes=1),
    "h": timedelta(hours=1),
    "d": timedelta(days=1),
}
MAX_DURATION = timedelta(days=3660)


def parse_duration(text: str) -> timedelta:
    """Parse a duration of at most ten years. Raises ValueError for any other text."""
    if (parts := DURATION.fullmatch(text)) is None:
        shown = text if len(text) <= MAX_SHOWN_CHARACTERS else f"{text[:MAX_SHOWN_CHARACTERS]}…"
        raise ValueError(f"{shown!r} {_describe_error(text)}")
    duration = float(parts[1]) * UNITS[parts[2]]
    if duration > MAX_DURATION:
        raise ValueError(f"{text!r} is longer than ten years")
    return duration


def _describe_error(text: str) -> str:
    if ANY_LENGTH.fullmatch(text):
        return "has too many digits: write at most 9 before the point and 6 after it"
    if SEVERAL_UNITS.fullmatch(text):
        return "has several units; write one number and one unit, like 90m"
    return "is not a duration; write a number and a unit, like 500ms, 10s, 5m"


def format_duration(duration: timedelta) -> str:
    """Format a duration in the largest unit that keeps it a whole number."""
    for unit in ("d", "h", "m", "s"):
        if duration and duration % UNITS[unit] == timedelta():
            return f"{duration // UNITS[unit]}{unit}"
    return f"{duration / UNITS['ms']:.3f}".rstrip("0").rstrip(".") + "ms"
