"""Which failures of scenarios a kill explains, and which it does not."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import islice

import pytest
from saga_orchestrator.eventstore.event import NewEvent, StreamId
from saga_orchestrator.eventstore.postgres.event_log import PostgresLog
from saga_orchestrator.tests.acceptance.explained_failures import (
    OWNER_CHANGED,
    Cause,
    causes_of,
    is_explained,
    scenario_of,
)
from saga_orchestrator.tests.acceptance.load_balancer import Interruption, RequestFate
from saga_orchestrator.tests.acceptance.load_balancer_messages import Request
from saga_orchestrator.tests.acceptance.node_killer import Kill, draw_kills
from saga_orchestrator.tests.support.in_memory_service import NOON

SAGA = StreamId("018f0000-0000-7000-8000-000000000003")  # in shard 3
TYPE = "flow_g35b_1a2b3c"
CALLED = "       calls: a1 a2 a2"  # the last line about any failure
LOST = "       POST /sagas/start.http: 502 is not within {'at_most': 299}"
BROKEN_OFF = "       GET /sagas/1/status: no node answers"
REGISTERED_TWICE = "       PUT /definitions/a/1.http: 200 is not 201"
REPLAYED = "       POST /sagas/start.headers.idempotency-replayed: 'true' is not None"
CALLED_TWICE = "       calls: a1 a2 a2; expected ['a1', 'a2']"
LATE = "       took: 7.9 is not within {'at_most': '6s'}"
KINDS = (*RequestFate, OWNER_CHANGED)


@pytest.mark.parametrize(
    ("kind", "problem"),
    [
        (RequestFate.LOST, LOST),
        (RequestFate.BROKEN_OFF, BROKEN_OFF),
        (RequestFate.REPEATED, REGISTERED_TWICE),
        (RequestFate.REPEATED, REPLAYED),
        (OWNER_CHANGED, CALLED_TWICE),
        (OWNER_CHANGED, LATE),
    ],
)
def test_cause_explains_its_own_sort_of_failure_and_no_other(kind: str, problem: str) -> None:
    explained = [each for each in KINDS if is_explained([problem, CALLED], [Cause(each, "")])]

    assert explained == [kind]


@pytest.mark.parametrize(
    "problem",
    [
        "I2: completed, but s1 has 2 effects and 0 undone",
        "I9: versions [1, 2, 4], and the status view is at 4",
        "R2: c1 was sent while a2 was still open",
        "status: 'compensated' is not 'completed'",
        "effects.a1: 2 is not 1",
        "statuses.completed: 99 is not 100",
        "POST /sagas/start.http: 500 is not within {'at_most': 299}",
        "POST /sagas/start.http: 503 is not within {'at_most': 299}",
        "POST /sagas/1/pause.http: 409 is not within {'at_most': 299}",
    ],
)
def test_wrong_response_is_never_explained(problem: str) -> None:
    causes = [Cause(kind, "") for kind in KINDS]

    assert not is_explained([f"       {problem}", CALLED], causes)
    assert not is_explained([f"       {problem}", CALLED_TWICE, CALLED], causes)


def test_response_of_the_load_balancer_itself_is_explained() -> None:
    refused = "POST /sagas/1/abandon.http: 502 is not 409"
    without = "POST /sagas/1/abandon.reply.allowed_actions: nothing is 'compensate' in None"
    of_another = "POST /sagas/2/abandon.reply.allowed_actions: nothing is 'compensate' in None"

    assert is_explained([refused, without, CALLED], [Cause(RequestFate.LOST, "")])
    assert not is_explained([refused, without, CALLED], [])
    assert not is_explained([refused, of_another, CALLED], [Cause(RequestFate.LOST, "")])
    assert not is_explained([without, CALLED], [Cause(RequestFate.LOST, "")])


def test_failure_without_a_cause_is_not_explained() -> None:
    assert not is_explained([LOST, CALLED], [])
    assert not is_explained([], [Cause(RequestFate.LOST, "")])


@pytest.mark.parametrize(
    ("request_", "scenario"),
    [
        (Request("POST", "/sagas/start", body=f'{{"saga_type": "{TYPE}"}}'.encode()), "g35b"),
        (Request("PUT", f"/definitions/{TYPE}/1"), "g35b"),
        (Request("GET", f"/sagas?type={TYPE}&limit=1"), "g35b"),
        (Request("POST", f"/sagas/{SAGA}/pause"), "g35b"),
        (Request("POST", "/sagas/018f0000-0000-7000-8000-000000000004/pause"), ""),
        (Request("GET", "/health"), ""),
    ],
    ids=str,
)
def test_interruption_belongs_to_the_scenario_of_its_saga(request_: Request, scenario: str) -> None:
    assert scenario_of(Interruption(request_, "node 1", RequestFate.LOST), {SAGA: TYPE}) == scenario


@pytest.mark.parametrize(
    ("history", "is_affected"),
    [
        pytest.param("0 claim, 1 event, 6 claim, 8 event", True, id="running at the kill"),
        pytest.param("0 claim, 1 event, 2 event, 6 claim", False, id="at rest before it"),
        pytest.param("0 claim, 6 claim, 8 event, 9 event", False, id="started after it"),
        pytest.param("0 claim, 1 event, 9 claim, 9 event", False, id="moved back later"),
        pytest.param("-9 claim, -2 event, 6 claim, 8 event", False, id="of an earlier round"),
    ],
)
async def test_kill_affects_running_sagas_that_changed_their_owner(
    database_url: str, history: str, *, is_affected: bool
) -> None:
    log = PostgresLog(database_url)
    for version, (at, what) in numbered(history):
        if what == "claim":
            await log.claim([3], recorded_at=at)
        else:
            await log.append(SAGA, version, [event(version, at)])
    await log.close()

    kill = Kill("node 1", NOON + timedelta(seconds=5), NOON + timedelta(seconds=7))
    causes = causes_of(database_url, [], [kill], NOON)

    text = f"saga {SAGA} was running at node 1 at kill 1"
    assert causes == ({"g35b": [Cause(OWNER_CHANGED, text)]} if is_affected else {})


def numbered(history: str) -> Iterator[tuple[int, tuple[datetime, str]]]:
    """Yield each incident with its time, and the number of events of the saga before it."""
    version = 0
    for incident in history.split(", "):
        second, what = incident.split()
        yield version, (NOON + timedelta(seconds=int(second)), what)
        version += what == "event"


def event(version: int, at: datetime) -> NewEvent:
    started = json.dumps({"saga_type": TYPE}).encode()
    kind, payload = ("SagaCompleted", b"{}") if version else ("SagaStarted", started)
    return NewEvent(type=kind, schema_version=1, recorded_at=at, payload=payload)


def test_kills_are_a_function_of_the_seed() -> None:
    names = ["node 1", "node 2", "node 3"]
    first, again, other = (list(islice(draw_kills(seed, names), 50)) for seed in (7, 7, 8))

    assert first == again != other
    assert {name for _, name in first} == set(names)
