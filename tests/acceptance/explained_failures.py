"""Which failures of scenarios the kills of nodes explain.

A request of a scenario was lost or repeated, or one of its running sagas changed its owner, so that
a call may have been sent again. Each of these causes explains some sorts of failures and no others:
an invariant that must hold in spite of kills is never excused.
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
# By the report of the black box: a 502 comes from the load balancer itself, and
# "calls: a1 a1; expected ['a1']" has a call that was sent again.
EXPLAINED_PROBLEMS: Final[Mapping[str, re.Pattern[str]]] = {
    RequestFate.LOST: re.compile(r"(\S+ /\S*\.)http: 502 is "),
    RequestFate.BROKEN_OFF: re.compile(r"\S+ /\S*: no (reply|node answers)"),
    RequestFate.REPEATED: re.compile(
        r"PUT /\S*\.http: 200 is not 201|\S+ /\S*\.headers\.idempotency-replayed: 'true' is "
    ),
    OWNER_CHANGED: re.compile(r"calls: .*; expected |gaps of |took: |counts\.\S+: "),
}
ELABORATION = re.compile(r"the reply was |calls: (?!.*; expected )")
# The black box registers `flow` of scenario D05 as flow_d05_1a2b3c.
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
# An epoch that began between two events of a saga began while the saga was running.
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
    """A cause of failures; `kind` is a key of EXPLAINS."""

    kind: str
    description: str

    def explains(self, problem: str) -> bool:
        return EXPLAINED_PROBLEMS[self.kind].match(problem) is not None


def is_explained(problems: Iterable[str], causes: Sequence[Cause]) -> bool:
    """True if each of the problems that the black box reports has a cause."""
    named = [line for line in map(str.strip, problems) if not ELABORATION.match(line)]
    # Other problems with a response of the load balancer itself follow from the 502.
    harmed = tuple(
        harm[1] for line in named if (harm := EXPLAINED_PROBLEMS[RequestFate.LOST].match(line))
    )
    others = [line for line in named if not line.startswith(harmed) or ".http: 502 is " in line]
    return bool(named) and all(any(cause.explains(line) for cause in causes) for line in others)


def causes_of(
    database_url: str, cuts: Iterable[Interruption], kills: Iterable[Kill], since: datetime
) -> Mapping[str, Sequence[Cause]]:
    """Return causes by the id of the scenario in lower case; "" if it is not known. Sagas that were
    started before `since` belong to an earlier round."""
    causes: defaultdict[str, list[Cause]] = defaultdict(list)
    with psycopg.connect(database_url) as connection:
        types: dict[str, str] = dict(connection.execute(SAGA_TYPES.encode(), (since,)).fetchall())
        for cut in cuts:
            causes[scenario_of(cut, types)].append(Cause(cut.fate, str(cut)))
        for number, kill in enumerate(kills, 1):
            window = {"killed_at": kill.at, "until": kill.until or datetime.now(UTC)}
            moved = {
                saga_id
                for (saga_id,) in connection.execute(MOVED_SAGAS.encode(), window).fetchall()
            }
            for saga_id in sorted(moved & types.keys()):
                text = f"saga {saga_id} was running at {kill.node} at kill {number}"
                causes[scenario_in(types[saga_id])].append(Cause(OWNER_CHANGED, text))
    return causes


def history_of(database_url: str, scenario: str, since: datetime) -> list[str]:
    """Return the recorded events of the sagas of a scenario, a line each."""
    sagas = sagas_of(database_url, [scenario], since)
    with psycopg.connect(database_url) as connection:
        events = connection.execute(HISTORY.encode(), (sagas,)).fetchall()
    return [
        f"{saga_id} {version} in epoch {epoch} at {at:%H:%M:%S.%f}: {kind} {payload}"
        for saga_id, version, epoch, kind, at, payload in events
    ]


def sagas_of(database_url: str, scenarios: Iterable[str], since: datetime) -> list[str]:
    """Return all sagas started for the scenarios, also where the response was lost."""
    ids = {scenario.lower() for scenario in scenarios}
    with psycopg.connect(database_url) as connection:
        types = connection.execute(SAGA_TYPES.encode(), (since,)).fetchall()
    return [saga_id for saga_id, kind in types if scenario_in(kind) in ids]


def scenario_of(cut: Interruption, types: Mapping[str, str]) -> str:
    """Return the id of the scenario by the saga type or the saga in the request; else ""."""
    request = cut.request
    if named := scenario_in(f"{request.target} {request.body.decode('latin-1')}"):
        return named
    saga = SAGA_ID.match(request.target)
    return scenario_in(types.get(saga[1], "")) if saga else ""


def scenario_in(text: str) -> str:
    match = SCENARIO_IN_TYPE.search(text)
    return match[1] if match else ""
