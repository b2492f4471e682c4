"""Each invariant holds for a correct saga, and is breached by one deviation from it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from saga_orchestrator.tests.blackbox.invariants import (
    CHECKS,
    HISTORY_CHECKS,
    SagaRecord,
    breaches,
    step_nodes,
)
from saga_orchestrator.tests.blackbox.json_values import Json
from saga_orchestrator.tests.blackbox.ledger import ReceivedCall

NODES = step_nodes(
    {
        "steps": [
            {"name": "s1", "action": {"path": "/a1"}, "compensation": {"path": "/c1"}},
            {"name": "s2", "action": {"path": "/a2"}, "compensation": {"path": "/c2"}},
        ]
    }
)
TRACEPARENT = f"00-{'a' * 32}-{'b' * 16}-01"


def call(label: str, at: float, **changes: Json) -> ReceivedCall:
    """Return the first attempt of `a1` or `c2`, replied to 0.1 s later."""
    step, direction = f"s{label[1]}", "action" if label[0] == "a" else "compensation"
    headers = {
        "saga-id": "saga",
        "saga-step": step,
        "saga-attempt": "1",
        "saga-epoch": "3",
        "idempotency-key": f"saga/{step}/{direction}",
        "traceparent": TRACEPARENT,
    }
    received = ReceivedCall(label, "POST", f"/{label}", headers, None, at, at + 0.1, True)
    return replace(received, **changes)


def with_header(received: ReceivedCall, name: str, value: str) -> ReceivedCall:
    return replace(received, headers={**received.headers, name: value})


def event(version: int, kind: str, step: str = "") -> dict[str, Json]:
    return {
        "version": version,
        "seq": version,
        "epoch": 3,
        "type": kind,
        "recorded_at": f"1970-01-01T00:00:{version:02}Z",
        "data": {"step": step, "attempt": 1},
    }


def view(version: int, status: str) -> dict[str, Json]:
    return {
        "version": version,
        "status": status,
        "current_step": None,
        "error": None,
        "steps": [{"name": name, "status": "pending"} for name in NODES],
        "remaining_steps": [],
        "parked": None,
    }


COMPENSATED = SagaRecord(
    view=view(6, "compensated"),
    events=[
        event(1, "SagaStarted"),
        event(2, "StepCalled", "s1"),
        event(3, "StepCalled", "s2"),
        event(4, "CompensationCalled", "s2"),
        event(5, "CompensationCalled", "s1"),
        event(6, "SagaCompensated"),
    ],
    past_views=[
        *(view(version, "running") for version in (1, 2, 3)),
        *(view(version, "compensating") for version in (4, 5)),
        view(6, "compensated"),
    ],
    nodes=NODES,
    calls=[call("a1", 2.5), call("a2", 3.5), call("c2", 4.5), call("c1", 5.5)],
    has_one_owner=True,
)
COMPLETED = replace(COMPENSATED, view=view(6, "completed"), events=[], calls=COMPENSATED.calls[:2])


def with_call(record: SagaRecord, number: int, received: ReceivedCall) -> SagaRecord:
    return replace(record, calls=[*record.calls[:number], received, *record.calls[number + 1 :]])


def with_event(record: SagaRecord, number: int, **changes: Json) -> SagaRecord:
    changed = {**record.events[number], **changes}
    return replace(record, events=[*record.events[:number], changed, *record.events[number + 1 :]])


def with_past_view(record: SagaRecord, number: int, **changes: Json) -> SagaRecord:
    views = [*record.past_views]
    views[number] = {**views[number], **changes}
    return replace(record, past_views=views)


def past_pivot(record: SagaRecord) -> SagaRecord:
    """Return the record with `s2` as a pivot that has succeeded."""
    nodes = {**NODES, "s2": replace(NODES["s2"], is_pivot=True)}
    steps = [{"name": "s1", "status": "compensated"}, {"name": "s2", "status": "succeeded"}]
    return replace(record, nodes=nodes, view={**record.view, "steps": steps}, events=[])


DEVIATIONS: dict[str, Callable[[], SagaRecord]] = {
    "I7: a2 came with key": lambda: with_call(
        COMPENSATED, 1, with_header(call("a2", 3.5), "idempotency-key", "saga/s1/action")
    ),
    "a2 came without Saga-Attempt": lambda: with_call(
        COMPENSATED, 1, with_header(call("a2", 3.5), "saga-epoch", "")
    ),
    "a2 came without a W3C traceparent": lambda: with_call(
        COMPENSATED, 1, with_header(call("a2", 3.5), "traceparent", "00-1-2-3")
    ),
    "a2 came with Saga-Step": lambda: with_call(
        COMPENSATED, 1, with_header(call("a2", 3.5), "saga-step", "s1")
    ),
    "I9: the epochs sent to participants": lambda: with_call(
        COMPENSATED, 1, with_header(call("a2", 3.5), "saga-epoch", "2")
    ),
    "R2: c2 was sent while a2": lambda: with_call(COMPENSATED, 1, call("a2", 3.5, ended=9.0)),
    "R2: a2 was sent after c1": lambda: replace(
        COMPENSATED, calls=[*COMPENSATED.calls, call("a2", 6.5, took_effect=False)]
    ),
    "I3: c2 was sent though a2": lambda: replace(
        COMPENSATED, calls=[each for each in COMPENSATED.calls if each.label != "a2"]
    ),
    "I4: s1 was undone before s2": lambda: replace(
        COMPENSATED, calls=[call("a1", 2.5), call("a2", 3.5), call("c1", 5.2), call("c2", 5.5)]
    ),
    "I2: completed, but s2 has 2 effects": lambda: replace(
        COMPLETED, calls=[*COMPLETED.calls, call("a2", 4.5)]
    ),
    "I2: completed, but s2 has 1 effects and 1 undone": lambda: replace(
        COMPLETED, calls=[*COMPLETED.calls, call("c2", 4.5)]
    ),
    "I3: compensated, but the effect of s1": lambda: replace(
        COMPENSATED, calls=COMPENSATED.calls[:3]
    ),
    "I5: c1, though the pivot was passed": lambda: past_pivot(COMPENSATED),
    "I9: versions": lambda: with_event(COMPENSATED, 2, version=4),
    "I9: seq goes back": lambda: with_event(COMPENSATED, 2, seq=2),
    "I9: epoch goes back": lambda: with_event(COMPENSATED, 2, epoch=2),
    "I6: a2 (attempt 1) has no intent": lambda: with_event(COMPENSATED, 2, type="StepSkipped"),
    "I6: c2 (attempt 1) has no intent": lambda: with_event(
        COMPENSATED, 3, recorded_at="1970-01-01T00:00:30Z"
    ),
    "I1: compensated became running": lambda: with_past_view(COMPENSATED, 1, status="compensated"),
    "I8: at_version=2 answered version 3": lambda: with_past_view(COMPENSATED, 1, version=3),
    "I8: error is 'lost' by fold": lambda: with_past_view(COMPENSATED, 5, error="lost"),
}


def test_correct_saga_breaches_nothing() -> None:
    assert list(breaches(COMPENSATED)) == []
    assert list(breaches(COMPLETED)) == []


@pytest.mark.parametrize("breach", DEVIATIONS)
def test_deviation_is_a_breach(breach: str) -> None:
    found = list(breaches(DEVIATIONS[breach]()))

    assert [line for line in found if line.startswith(breach)], found


def test_every_check_is_breached_by_some_deviation() -> None:
    silent = [
        check
        for check in (*CHECKS, *HISTORY_CHECKS)
        if not any(list(check(deviation())) for deviation in DEVIATIONS.values())
    ]

    assert silent == []
