"""Which scenarios a kill cut into: a request of theirs was lost or sent twice, or one of their
sagas changed hands while it was under way, so that a call may have been sent again.

A scenario that fails for that is played once more. What must hold whoever dies (the invariants) is
never excused.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime

import psycopg
from saga_orchestrator.tests.acceptance.front import Cut
from saga_orchestrator.tests.acceptance.killer import Kill

# The runner registers `flow` of scenario D05 as flow_d05_1a2b3c.
TYPE = re.compile(r"_([a-z0-9]+)_[0-9a-f]{6}\b")
SAGA_ID = re.compile(r"/sagas/([0-9a-f-]{36})\b")
INVARIANT = re.compile(r"\s*(I\d+|R2): ")
TYPES = (
    "select stream_id::text, payload ->> 'saga_type' from event_json"
    " where version = 1 and type = 'SagaStarted'"
)
# An epoch that began between two events of a saga is one that the saga did not rest through.
CHANGED_HANDS = """
    with taken as (
      select shard_id, epoch from event
      where type = 'ShardOwned' and recorded_at between %(killed_at)s and %(until)s
    ), saga as (
      select shard_id, stream_id, min(epoch) as first_epoch, max(epoch) as last_epoch
      from event where type <> 'ShardOwned' group by shard_id, stream_id
    )
    select distinct stream_id::text from saga join taken using (shard_id)
    where first_epoch < epoch and epoch <= last_epoch
"""

Causes = Mapping[str, Sequence[str]]


def causes(database_url: str, cuts: Iterable[Cut], kills: Iterable[Kill]) -> Causes:
    """By the id of the scenario, in lower case: how a kill cut into it."""
    found: defaultdict[str, list[str]] = defaultdict(list)
    with psycopg.connect(database_url) as connection:
        types: dict[str, str] = dict(connection.execute(TYPES.encode()).fetchall())
        for cut in cuts:
            found[scenario_of(cut, types)].append(str(cut))
        for number, kill in enumerate(kills, 1):
            window = {"killed_at": kill.at, "until": kill.until or datetime.now(UTC)}
            for (saga_id,) in connection.execute(CHANGED_HANDS.encode(), window).fetchall():
                told = f"saga {saga_id} was under way at {kill.node} at kill {number}"
                found[scenario_named(types[saga_id])].append(told)
    return found


def scenario_of(cut: Cut, types: Mapping[str, str]) -> str:
    """By the saga type that the request names, or that of the saga that it names; else nothing."""
    request = cut.request
    if named := scenario_named(f"{request.target} {request.body.decode('latin-1')}"):
        return named
    saga = SAGA_ID.match(request.target)
    return scenario_named(types.get(saga[1], "")) if saga else ""


def scenario_named(text: str) -> str:
    found = TYPE.search(text)
    return found[1] if found else ""


def breaks_an_invariant(problems: Iterable[str]) -> bool:
    return any(INVARIANT.match(one) for one in problems)
