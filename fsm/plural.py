"""Numbers of things in messages."""

from __future__ import annotations


def counted(number: object, one: str, many: str = "") -> str:
    """Return the number with its noun: 1 entry, 2 entries. `many` is needed if it is not `one`s."""
    return f"{number} {one if number == 1 else many or f'{one}s'}"
