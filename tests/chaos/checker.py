"""What the doctor finds once everything rests, told by participants, customers and the log."""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

from saga_orchestrator.tests.acceptance.doctor_run import DoctorReport, examine_log
from saga_orchestrator.tests.acceptance.process import clean_environ
from saga_orchestrator.tests.chaos.async_participant import DATABASE_FILE
from saga_orchestrator.tests.chaos.clients import Clients
from saga_orchestrator.tests.chaos.deployment import ChaosDeployment

DONE_CALLS = "select key, status from answer where status between 200 and 299"
SENT_PARCELS = "select key, sent_at from parcel where sent_at is not null"
REFUSED_CALLBACKS = "select refusal from parcel where refusal is not null"

Line = dict[str, Any]


def check(town: ChaosDeployment, customers: Clients) -> DoctorReport:
    done = dict(_done_calls(town.folder))
    calls = with_lost_replies(town.proxy.ledger, town.proxy.lost, done)
    calls += later_effects(calls, dict(_query(town.folder, SENT_PARCELS)))
    environ = clean_environ(DATABASE_URL=town.database_url)
    return examine_log(environ, town.folder, calls, customers.answers)


def refused_callbacks(folder: Path) -> list[str]:
    """What parcel-service was told that it should never be told."""
    return [refusal for (refusal,) in _query(folder, REFUSED_CALLBACKS)]


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


def later_effects(calls: Iterable[Line], sent: Mapping[str, str]) -> Iterator[Line]:
    """What was accepted first and done `sent` later: the last call of that key is what did it."""
    by_key = {one["key"]: one for one in calls}
    for key, at in sent.items():
        yield {**by_key[key], "at": at, "effect": True, "status": 200}


def _done_calls(folder: Path) -> Iterable[tuple[str, int]]:
    for file in folder.glob("*.sqlite3"):
        with closing(sqlite3.connect(file)) as books:
            yield from books.execute(DONE_CALLS)


def _query(folder: Path, question: str) -> Iterable[tuple[Any, ...]]:
    with closing(sqlite3.connect(folder / DATABASE_FILE)) as books:
        yield from books.execute(question)
