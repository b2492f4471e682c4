"""Signals that were heard twice, or by nobody, or out of turn."""

from __future__ import annotations

import pytest
from saga_orchestrator.fsm.events import Event, SignalReceived, StepSucceeded, WaitStarted
from saga_orchestrator.fsm.invariants import Violation, violations
from saga_orchestrator.fsm.testing import SAGA_ID, define
from saga_orchestrator.tests.unit.fsm.invariants.histories import history_of_events

TWICE = define("first signal=word", "second signal=word")


def heard(body: str, key: str | None = None) -> SignalReceived:
    return SignalReceived(name="word", body=body, key=key)


def taken(step: str, body: str) -> list[Event]:
    taken = StepSucceeded(step=step, attempt=0, output=body, signal="word")
    return [WaitStarted(step=step, signal="word"), taken]


@pytest.mark.parametrize(
    "events",
    [
        [heard("a", "1"), *taken("first", "a"), heard("b", "2"), *taken("second", "b")],
        [heard("a"), heard("a"), *taken("first", "a"), *taken("second", "a")],
    ],
)
def test_each_signal_is_taken_once_and_in_order(events: list[Event]) -> None:
    assert [
        one for one in violations(history_of_events(TWICE, *events)) if one.code == "signal"
    ] == []


@pytest.mark.parametrize(
    ("events", "version", "detail"),
    [
        (
            [heard("a", "1"), *taken("first", "a"), heard("a", "1")],
            5,
            "word was heard again under the key 1",
        ),
        (taken("first", "a"), 3, "StepSucceeded of first by a word that nobody sent"),
        (
            [heard("a"), *taken("first", "a"), *taken("second", "a")],
            6,
            "StepSucceeded of second by a word that nobody sent",
        ),
        (
            [heard("a"), heard("b"), *taken("first", "b")],
            5,
            "StepSucceeded of first by another word than the first",
        ),
    ],
)
def test_a_signal_that_counts_twice_is_found(
    events: list[Event], version: int, detail: str
) -> None:
    found = [one for one in violations(history_of_events(TWICE, *events)) if one.code == "signal"]

    assert found == [Violation(code=found[0].code, saga_id=SAGA_ID, version=version, detail=detail)]
