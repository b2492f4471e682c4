"""Read models: projections folded from the event log alone, and the SQL of this room by name."""

from __future__ import annotations

from functools import cache
from pathlib import Path

__all__ = ["MIGRATIONS"]


MIGRATIONS = Path(__file__).parent / "migrations"
_FOLDER = Path(__file__).parent / "sql"


@cache
def statement(name: str) -> bytes:
    return (_FOLDER / f"{name}.sql").read_bytes()
