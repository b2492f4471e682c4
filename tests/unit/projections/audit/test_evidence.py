"""Ledgers and acknowledgements are read line by line."""

from __future__ import annotations

import json

import pytest
from saga_orchestrator.fsm.call_outcome import Direction
from saga_orchestrator.fsm.invariants import LedgerCoverage
from saga_orchestrator.projections.audit.evidence import (
    collect_evidence,
    read_acknowledgements,
    read_calls,
)
from saga_orchestrator.tests.support.in_memory_service import NOON

CALL = {
    "at": "2026-03-01T12:00:02Z",
    "participant": "order-service",
    "key": "saga-1/create_order/action",
    "saga_id": "saga-1",
    "step": "create_order",
    "direction": "action",
    "attempt": 1,
    "epoch": 3,
    "method": "POST",
    "path": "/orders",
    "effect": True,
    "status": 200,
}


def line(**members: object) -> bytes:
    return json.dumps({**CALL, **members}).encode() + b"\n"


def test_calls_are_grouped_by_saga_in_order_of_time() -> None:
    early = line(at="2026-03-01T12:00:01Z", direction="compensation", epoch=None)
    evidence = collect_evidence(read_calls([line(), line(saga_id="saga-2"), early]), [], at=NOON)

    assert [call.direction for call in evidence.calls["saga-1"]] == [
        Direction.COMPENSATION,
        Direction.ACTION,
    ]
    assert [call.epoch for call in evidence.calls["saga-2"]] == [3]
    assert evidence.coverage == LedgerCoverage(frozenset({"order-service"}), until=NOON)


def test_incomplete_last_line_is_ignored() -> None:
    assert len(list(read_calls([line(), line()[:-20]]))) == 1


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ({"direction": "sideways"}, "line 2: /direction must be"),
        ({"attempt": "x"}, "line 2: /attempt must be"),
    ],
)
def test_invalid_line_is_reported_with_its_number(members: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        list(read_calls([line(), line(**members)]))


@pytest.mark.parametrize(
    ("status", "read"), [('"completed"', "completed"), ("202", 202), ("null", None)]
)
def test_acknowledgement_has_the_status_of_a_saga_or_of_http(status: str, read: object) -> None:
    record = f'{{"at":"2026-03-01T12:00:00Z","saga_id":"saga-1","status":{status}}}\n'

    (acknowledgement,) = read_acknowledgements([record.encode()])

    assert (acknowledgement.status, acknowledgement.version, acknowledgement.request) == (
        read,
        None,
        None,
    )
