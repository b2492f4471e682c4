"""SQL statements by name, one in each file of `sql/`.

Statements for only one mode are in the folder of the mode. A statement that a mode does not have
cannot be used in it.
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
    """Return the statement `<name>.sql` of the mode, or the one that all modes share.

    It is bytes, which psycopg takes without a cast.
    """
    own = _FOLDER / mode / f"{name}.sql"
    return (own if own.exists() else _FOLDER / f"{name}.sql").read_bytes()
