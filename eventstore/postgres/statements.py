"""SQL by name: one statement a file, in `sql/`.

What is not for every system is in the folder of its mode. A name that a mode has no statement for
cannot be asked in it.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Final, Literal

# Portable: any system that speaks PostgreSQL's protocol and SQL, without what only PostgreSQL has.
DatabaseMode = Literal["postgresql", "portable"]

_FOLDER: Final = Path(__file__).parent / "sql"


@cache
def statement(name: str, mode: DatabaseMode = "postgresql") -> bytes:
    """The statement `<name>.sql` of the mode, or the one that all share; bytes, which psycopg takes
    without a cast."""
    own = _FOLDER / mode / f"{name}.sql"
    return (own if own.exists() else _FOLDER / f"{name}.sql").read_bytes()
