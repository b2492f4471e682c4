"""How kills cut into scenarios, and which of their failures that explains.

A request of a scenario was lost or sent twice, or one of its sagas changed hands while it was under
way, so that a call may have been sent again. Each of these explains some sorts of failures and no
others: what must hold whoever dies is never excused.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

import psycopg
from saga_orchestrator.tests.acceptance.load_balancer import Interruption, RequestFate
from saga_orchestrator.tests.acceptance.node_killer import Kill

OWNER_CHANGED: Final = "changed hands"
# By the runner's words: a 502 is the front's own answer, and "calls: a1 a1; expected ['a1']" has
# one call more than is wanted, or the same ones at other times.
EXPLAINED_PROBLEMS: Final[Mapping[str, re.Pattern[str]]] = {
    RequestFate.LOST: re.compile(r"(\S+ /\S*\.)http: 502 is "),
    RequestFate.BROKEN_OFF: re.compile(r"\S+ /\S*: no (reply|node answers)"),
    RequestFate.REPEATED: re.compile(
        r"PUT /\S*\.http: 200 is not 201|\S+ /\S*\.headers\.idempotency-replayed: 'true' is "
    ),
    OWNER_CHANGED: re.compile(r"calls: .*; expected |gaps of |took: |counts\.\S+: "),
}
ELABORATION = re.compile(r"the reply was |calls: (?!.*; expected )")
# The runner registers `flow` of scenario D05 as flow_d05_1a2b3c.
SCENARIO_IN_TYPE = re.compile(r"_([a-z0-9]+)_[0-9a-f]{6}\b")
SAGA_ID = re.compile(r"/sagas/([0-9a-f-]{36})\b")
SAGA_TYPES = (
    "select stream_id::text, payload ->> 'saga_type' from event_json"
    " where version = 1 and type = 'SagaStarted' and recorded_at >= %s"
)
HISTORY = (
    "select stream_id::text, version, epoch, type, recorded_at, payload::text from event_json"
    " where stream_id = any(%s::uuid[]) order by stream_id, version limit 100"
)
# An epoch that began between two events of a saga is one that the saga did not rest through.
MOVED_SAGAS = """
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


@dataclass(frozen=True, slots=True)
class Cause:
    """`kind` is a key of EXPLAINS."""

    kind: str
    description: str

    def explains(self, problem: str) -> bool:
        return EXPLAINED_PROBLEMS[self.kind].match(problem) is not None


def is_explained(problems: Iterable[str], causes: Sequence[Cause]) -> bool:
    """Whether each of the problems that the runner names has its cause."""
    named = [one for one in map(str.strip, problems) if not ELABORATION.match(one)]
    # What else is wrong with an answer of the front's own follows from its being that.
    harmed = tuple(
        harm[1] for line in named if (harm := EXPLAINED_PROBLEMS[RequestFate.LOST].match(line))
    )
    others = [line for line in named if not line.startswith(harmed) or ".http: 502 is " in line]
    return bool(named) and all(any(one.explains(line) for one in causes) for line in others)


def causes_of(
    database_url: str, cuts: Iterable[Interruption], kills: Iterable[Kill], since: datetime
) -> Mapping[str, Sequence[Cause]]:
    """By the id of the scenario, in lower case; those of nobody known by nothing. Sagas that were
    started before `since` are of an earlier play."""
    found: defaultdict[str, list[Cause]] = defaultdict(list)
    with psycopg.connect(database_url) as connection:
        types: dict[str, str] = dict(connection.execute(SAGA_TYPES.encode(), (since,)).fetchall())
        for cut in cuts:
            found[scenario_of(cut, types)].append(Cause(cut.fate, str(cut)))
        for number, kill in enumerate(kills, 1):
            window = {"killed_at": kill.at, "until": kill.until or datetime.now(UTC)}
            moved = {one for (one,) in connection.execute(MOVED_SAGAS.encode(), window).fetchall()}
            for saga_id in sorted(moved & types.keys()):
                told = f"saga {saga_id} was under way at {kill.node} at kill {number}"
                found[scenario_in(types[saga_id])].append(Cause(OWNER_CHANGED, told))
    return found


def history_of(database_url: str, scenario: str, since: datetime) -> list[str]:
    """What is recorded of the sagas of a scenario, event by event."""
    sagas = sagas_of(database_url, [scenario], since)
    with psycopg.connect(database_url) as connection:
        events = connection.execute(HISTORY.encode(), (sagas,)).fetchall()
    return [
        f"{saga_id} {version} in epoch {epoch} at {at:%H:%M:%S.%f}: {kind} {payload}"
        for saga_id, version, epoch, kind, at, payload in events
    ]


def sagas_of(database_url: str, scenarios: Iterable[str], since: datetime) -> list[str]:
    """All that were started for them, also those that nobody was told of."""
    wanted = {one.lower() for one in scenarios}
    with psycopg.connect(database_url) as connection:
        types = connection.execute(SAGA_TYPES.encode(), (since,)).fetchall()
    return [saga_id for saga_id, kind in types if scenario_in(kind) in wanted]


def scenario_of(cut: Interruption, types: Mapping[str, str]) -> str:
    """By the saga type that the request names, or that of the saga that it names; else nothing."""
    request = cut.request
    if named := scenario_in(f"{request.target} {request.body.decode('latin-1')}"):
        return named
    saga = SAGA_ID.match(request.target)
    return scenario_in(types.get(saga[1], "")) if saga else ""


def scenario_in(text: str) -> str:
    found = SCENARIO_IN_TYPE.search(text)
    return found[1] if found else ""
