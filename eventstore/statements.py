"""SQL by name: one statement a file, in `sql/`."""

from __future__ import annotations

from functools import cache
from pathlib import Path

_FOLDER = Path(__file__).parent / "sql"


@cache
def statement(name: str) -> bytes:
    """The statement in `sql/<name>.sql`; bytes, which psycopg takes without a cast."""
    return (_FOLDER / f"{name}.sql").read_bytes()
