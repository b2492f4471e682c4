"""The ledger: the durable state of a participant in one SQLite file, with one writer at a time.

The effect of a call and the answer to it are written in one transaction, so a crash never leaves an
effect without its answer, or an answer without its effect. With `synchronous = FULL` a commit
survives a crash of the machine as well as of the process: a caller that got an answer may rely on
it. Reads are transactions too, and so never see half of a write.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

SQL = Path(__file__).parent / "sql"
LOCK_WAIT = timedelta(seconds=10)  # for another process on the same file

Value = str | int | float | None


class Ledger:
    """A thread-safe SQLite file. `schema` names the file of statements that makes its tables."""

    def __init__(self, file: Path, schema: str) -> None:
        file.parent.mkdir(parents=True, exist_ok=True)
        self._lock = threading.Lock()
        self._statements = read_statements()
        self._connection = connect(file)
        for name in ("ledger_schema", schema):
            self._connection.executescript(self._statements[name])

    @contextmanager
    def transaction(self) -> Iterator[Transaction]:
        """Run a transaction: committed at the end, rolled back by an exception."""
        with self._lock:
            # Immediate: the write lock is taken before the first read, so what was read stays true.
            self._connection.execute("begin immediate")
            try:
                yield Transaction(self._connection, self._statements)
            except BaseException:
                self._connection.rollback()
                raise
            self._connection.commit()

    def close(self) -> None:
        with self._lock:
            self._connection.close()


class Transaction:
    """One transaction on the ledger."""

    def __init__(self, connection: sqlite3.Connection, statements: Mapping[str, str]) -> None:
        self._connection = connection
        self._statements = statements

    def rows(self, statement: str, /, **values: Value) -> list[sqlite3.Row]:
        return self._connection.execute(self._statements[statement], values).fetchall()

    def row(self, statement: str, /, **values: Value) -> sqlite3.Row | None:
        """Return the first row, or None."""
        return next(iter(self.rows(statement, **values)), None)


def connect(file: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(
        file,
        timeout=LOCK_WAIT.total_seconds(),
        isolation_level=None,
        check_same_thread=False,
    )
    connection.row_factory = sqlite3.Row
    connection.execute("pragma journal_mode = wal")
    connection.execute("pragma synchronous = full")
    return connection


def read_statements() -> dict[str, str]:
    return {file.stem: file.read_text(encoding="utf-8") for file in SQL.glob("*.sql")}
