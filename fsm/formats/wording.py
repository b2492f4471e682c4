"""Wording of messages: counted nouns, and suggestions for a misspelt name."""

from __future__ import annotations

from collections.abc import Collection
from difflib import get_close_matches


def counted(number: object, one: str, many: str = "") -> str:
    """Return the number with its noun: 1 entry, 2 entries. `many` is by default `one` with an s."""
    return f"{number} {one if number == 1 else many or f'{one}s'}"


def did_you_mean(name: str, known: Collection[str]) -> str:
    """Return a suggestion to append to a message if a known name is close to `name`, else ""."""
    close = get_close_matches(name, known, n=1)
    return f"; did you mean {close[0]}?" if close else ""
