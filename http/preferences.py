"""How long a client wants to wait: the `Prefer` header (RFC 7240).

A preference that cannot be read is no preference. What was applied is echoed, so that a client who
asked for more than is given learns it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from .request import Request

DEFAULT_WAIT: Final = timedelta(seconds=30)
LONGEST_WAIT: Final = timedelta(seconds=60)
LONGEST_HEADER: Final = 1000  # characters

# One preference at a time, up to the comma after it; a quoted value may hold commas.
PREFERENCE: Final = re.compile(r'(?:[^,"]|"(?:[^"\\]|\\.)*")+')
NAME_AND_VALUE: Final = re.compile(r'\s*([\w-]+)\s*(?:=\s*"?([^";]*)"?\s*)?(?:;.*)?', re.ASCII)
SECONDS: Final = re.compile(r"[0-9]{1,9}")


@dataclass(frozen=True, slots=True)
class Preferences:
    """`wait` is None if none was asked for; it is within bounds."""

    wait: timedelta | None = None
    respond_async: bool = False

    @property
    def applied(self) -> str | None:
        """For Preference-Applied."""
        if self.respond_async:
            return "respond-async"
        return None if self.wait is None else f"wait={self.wait.total_seconds():.0f}"

    def wait_or(self, default: timedelta) -> timedelta:
        if self.respond_async:
            return timedelta()
        return default if self.wait is None else self.wait


def preferences_of(request: Request) -> Preferences:
    headers = request.headers(b"prefer")
    return parse_preferences(",".join(headers)) if headers else NO_PREFERENCES


def parse_preferences(header: str) -> Preferences:
    given: dict[str, str] = {}
    for preference in PREFERENCE.findall(header[:LONGEST_HEADER]):
        if parts := NAME_AND_VALUE.fullmatch(preference):
            given.setdefault(parts[1].lower(), (parts[2] or "").strip())
    return Preferences(_wait(given.get("wait", "")), "respond-async" in given)


def _wait(value: str) -> timedelta | None:
    if not SECONDS.fullmatch(value):
        return None
    return min(timedelta(seconds=int(value)), LONGEST_WAIT)


NO_PREFERENCES: Final = Preferences()
