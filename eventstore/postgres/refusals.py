"""Refusals of the database that repeat until an operator changes something, with what to change.

A refusal never decides anything: the statement is sent again, or the request fails and may be
repeated. But some refusals would repeat for ever, and then waiting is no advice.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Final

import psycopg

# The cause may be removed long before a rare statement is executed again.
REFUSAL_RETENTION: Final = timedelta(minutes=1)
# Read-only, full, out of reach, damaged: true of all statements, and a ping or append reports it.
_SERVER_WIDE_CODES: Final = ("25006", "53", "58", "XX")
_TABLES: Final = (
    "the service did not make this: correct the database or the search_path of DATABASE_URL, or"
    " start the service again, which makes the tables that are missing"
)
_SYSTEM: Final = (
    "the database system lacks what the service needs: use PostgreSQL 14 or later, or the portable"
    " mode"
)
_DAMAGED: Final = "look at the log of the database server: its files are damaged or out of reach"
_FOREIGN: Final = (
    "a trigger or function that is not the service's refuses what it writes: remove it"
)
SHARED_SESSIONS: Final = (
    "a connection pooler gives one session to several clients: let DATABASE_URL lead to PostgreSQL"
    " itself, or set pool_mode=session"
)

# By SQLSTATE or its first two characters; the longer key wins. Other errors may pass by themselves.
ADVICE_BY_SQLSTATE: Final[Mapping[str, str]] = {
    "09": _FOREIGN,
    "0A": _SYSTEM,
    "25006": "let DATABASE_URL lead to a server that takes writes",
    "26": SHARED_SESSIONS,
    "28": "correct the user or the password in DATABASE_URL",
    "38": _FOREIGN,
    "39": _FOREIGN,
    "3D": "create the database that DATABASE_URL names",
    "3F": _TABLES,
    "42": _TABLES,
    "42501": "grant the user of DATABASE_URL its privileges on the tables of the service",
    "42601": _SYSTEM,
    "42883": _SYSTEM,
    "42P05": SHARED_SESSIONS,
    "44": _FOREIGN,
    "53100": "make room on the disk of the database server",
    "53300": "raise the limit of connections, or let each node open fewer",
    "58": _DAMAGED,
    "P0": _FOREIGN,
    "XX": _DAMAGED,
}


_LIBPQ_QUESTION: Final = re.compile(r"\s*Is the server running [^?]*\?")


def advice_for(error: psycopg.Error) -> str | None:
    """Return what to change before the statement can succeed; None if waiting may be enough."""
    code = error.sqlstate or ""
    return next(
        (ADVICE_BY_SQLSTATE[code[:size]] for size in (5, 2) if code[:size] in ADVICE_BY_SQLSTATE),
        None,
    )


def describe_error(error: Exception) -> str:
    """Return the message of the database in one line, with what to change.

    Questions of libpq for a user at a terminal are left out.
    """
    fix = advice_for(error) if isinstance(error, psycopg.Error) else None
    message = " ".join(_LIBPQ_QUESTION.sub("", str(error)).split())
    return f"{message}; {fix}" if fix else message


class Refusals:
    """The statements that the database refuses at the moment, by name, with the reasons.

    Errors that may pass by themselves are not among them.
    """

    def __init__(self) -> None:
        self._reasons: dict[str, tuple[float, str]] = {}

    def record(self, name: str, error: psycopg.Error) -> None:
        if advice_for(error) and not (error.sqlstate or "").startswith(_SERVER_WIDE_CODES):
            self._reasons[name] = (_now(), describe_error(error))

    def clear(self, name: str) -> None:
        """Remove the refusal of a statement that was executed."""
        if self._reasons:
            self._reasons.pop(name, None)

    def __iter__(self) -> Iterator[str]:
        since = _now() - REFUSAL_RETENTION.total_seconds()
        refused = sorted(self._reasons.items())
        return (f"{name}: {why}" for name, (noted_at, why) in refused if noted_at >= since)


def _now() -> float:
    return asyncio.get_running_loop().time()
