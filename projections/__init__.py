"""Read models: projections of the event log, and the SQL of this room by name."""

from __future__ import annotations

from functools import cache
from pathlib import Path

__all__ = ["MIGRATIONS", "statement"]

MIGRATIONS = Path(__file__).parent / "migrations"
_STATEMENTS = Path(__file__).parent / "sql"


@cache
def statement(name: str) -> bytes:
    """Return the statement in `sql/{name}.sql`."""
    return (_STATEMENTS / f"{name}.sql").read_bytes()
