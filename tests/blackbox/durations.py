"""Durations as scenarios write them: `50ms`, `1.5s`, `10m`, `2h`, or a number of seconds."""

from __future__ import annotations

import re

SECONDS_PER_UNIT = {"ms": 0.001, None: 1.0, "s": 1.0, "m": 60.0, "h": 3600.0}


def seconds(duration: str | float) -> float:
    """Return `duration` in seconds. Raises ValueError if it is not a duration."""
    parts = re.fullmatch(r"([\d.]+)(ms|s|m|h)?", str(duration))
    if parts is None:
        raise ValueError(f"{duration!r} is not a duration")
    return float(parts[1]) * SECONDS_PER_UNIT[parts[2]]
