"""What the doctor finds once everything rests, told by participants, customers and the log."""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

from saga_orchestrator.tests.acceptance.doctor import Examination, examine
from saga_orchestrator.tests.acceptance.program import clean_environ
from saga_orchestrator.tests.chaos.customers import Customers
from saga_orchestrator.tests.chaos.town import Town

ANSWERED = "select key, status from answer where status between 200 and 299"

Line = dict[str, Any]


def verdict(town: Town, customers: Customers) -> Examination:
    done = dict(_done(town.folder))
    calls = with_lost_replies(town.relay.ledger, town.relay.lost, done)
    environ = clean_environ(DATABASE_URL=town.database_url)
    return examine(environ, town.folder, calls, customers.answers)


def with_lost_replies(
    ledger: Iterable[Line], lost: Iterable[Line], done: Mapping[str, int]
) -> list[Line]:
    """A participant that was killed behind its commit did something that no reply told of: its own
    books say what. It was the first of the calls without reply."""
    calls = [*ledger]
    told = {one["key"] for one in calls if one["effect"]}
    silent: defaultdict[str, list[Line]] = defaultdict(list)
    for one in lost:
        silent[one["key"]].append(one)
    for key, (first, *others) in silent.items():
        if key in done and key not in told:
            first = {**first, "effect": True, "status": done[key]}
        calls += [first, *others]
    return calls


def _done(folder: Path) -> Iterable[tuple[str, int]]:
    for file in folder.glob("*.sqlite3"):
        with closing(sqlite3.connect(file)) as books:
            yield from books.execute(ANSWERED)
