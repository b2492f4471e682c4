"""The check of a run once everything rests, from the log, the participants and the clients."""

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


def check(deployment: ChaosDeployment, clients: Clients) -> DoctorReport:
    """Run the doctor with what participants and clients have recorded."""
    done = dict(_done_calls(deployment.folder))
    calls = with_lost_replies(deployment.proxy.ledger, deployment.proxy.lost, done)
    calls += later_effects(calls, dict(_query(deployment.folder, SENT_PARCELS)))
    environ = clean_environ(DATABASE_URL=deployment.database_url)
    return examine_log(environ, deployment.folder, calls, clients.answers)


def refused_callbacks(folder: Path) -> list[str]:
    """Return the callbacks that a node has refused for good, which must not happen."""
    return [refusal for (refusal,) in _query(folder, REFUSED_CALLBACKS)]


def with_lost_replies(
    ledger: Iterable[Line], lost: Iterable[Line], done: Mapping[str, int]
) -> list[Line]:
    """Add the calls without a reply to the ledger.

    A participant that was killed after its commit had an effect without a reply. If its database
    has the key, and no call with a reply had the effect, the first call without a reply had it.
    """
    calls = [*ledger]
    replied = {call["key"] for call in calls if call["effect"]}
    without_reply: defaultdict[str, list[Line]] = defaultdict(list)
    for call in lost:
        without_reply[call["key"]].append(call)
    for key, (first, *others) in without_reply.items():
        if key in done and key not in replied:
            first = {**first, "effect": True, "status": done[key]}
        calls += [first, *others]
    return calls


def later_effects(calls: Iterable[Line], sent: Mapping[str, str]) -> Iterator[Line]:
    """Yield the effects of calls that were accepted first: of the last call of each key."""
    by_key = {call["key"]: call for call in calls}
    for key, at in sent.items():
        yield {**by_key[key], "at": at, "effect": True, "status": 200}


def _done_calls(folder: Path) -> Iterable[tuple[str, int]]:
    for file in folder.glob("*.sqlite3"):
        with closing(sqlite3.connect(file)) as database:
            yield from database.execute(DONE_CALLS)


def _query(folder: Path, query: str) -> Iterable[tuple[Any, ...]]:
    with closing(sqlite3.connect(folder / DATABASE_FILE)) as database:
        yield from database.execute(query)
