"""Signals that count twice, were not sent, or are consumed out of turn."""

from __future__ import annotations

import pytest
from saga_orchestrator.fsm.events import Event, SignalReceived, StepSucceeded, WaitStarted
from saga_orchestrator.fsm.invariants import Violation, violations
from saga_orchestrator.fsm.testing import SAGA_ID, define
from saga_orchestrator.tests.unit.fsm.invariants.histories import history_of_events

TWICE = define("first signal=word", "second signal=word")


def received(body: str, key: str | None = None) -> SignalReceived:
    return SignalReceived(name="word", body=body, key=key)


def consumed(step: str, body: str) -> list[Event]:
    success = StepSucceeded(step=step, attempt=0, output=body, signal="word")
    return [WaitStarted(step=step, signal="word"), success]


@pytest.mark.parametrize(
    "events",
    [
        [received("a", "1"), *consumed("first", "a"), received("b", "2"), *consumed("second", "b")],
        [received("a"), received("a"), *consumed("first", "a"), *consumed("second", "a")],
    ],
)
def test_each_signal_is_consumed_once_and_in_order(events: list[Event]) -> None:
    assert [
        violation
        for violation in violations(history_of_events(TWICE, *events))
        if violation.code == "signal"
    ] == []


@pytest.mark.parametrize(
    ("events", "version", "detail"),
    [
        (
            [received("a", "1"), *consumed("first", "a"), received("a", "1")],
            5,
            "word was recorded again under the key 1",
        ),
        (consumed("first", "a"), 3, "StepSucceeded of first by a word that was not sent"),
        (
            [received("a"), *consumed("first", "a"), *consumed("second", "a")],
            6,
            "StepSucceeded of second by a word that was not sent",
        ),
        (
            [received("a"), received("b"), *consumed("first", "b")],
            5,
            "StepSucceeded of first by another word than the first",
        ),
    ],
)
def test_signal_that_counts_twice_is_a_violation(
    events: list[Event], version: int, detail: str
) -> None:
    found = [
        violation
        for violation in violations(history_of_events(TWICE, *events))
        if violation.code == "signal"
    ]

    assert found == [Violation(code=found[0].code, saga_id=SAGA_ID, version=version, detail=detail)]
