"""Each promise of compensation is broken once on purpose, and must be found broken."""

from __future__ import annotations

import pytest
from saga_orchestrator.fsm.call_outcome import Outcome
from saga_orchestrator.fsm.events import (
    Cause,
    CompensationBackedOff,
    CompensationCalled,
    CompensationFailed,
    CompensationStarted,
    Event,
    SagaAbandoned,
    SagaParked,
    StepBackedOff,
    StepCalled,
    StepSucceeded,
    StepUnknown,
    WaitStarted,
)
from saga_orchestrator.fsm.testing import NOON, REJECTED, ParticipantsModel, define
from saga_orchestrator.fsm.testing.undo_promises import (
    doubt_has_a_reason,
    failures_are_passed_over,
    undo_is_tried_as_told,
    undo_settles_first,
)

BACK = CompensationStarted(cause=Cause.REQUEST, error="asked")
UNDO = CompensationCalled(step="book", attempt=1)
LOST = StepUnknown(step="pay", attempt=1, error="lost")
BOTH_DONE: list[Event] = [
    StepSucceeded(step="book", attempt=1),
    StepSucceeded(step="pay", attempt=1),
]


def backed_off(outcome: Outcome) -> CompensationBackedOff:
    return CompensationBackedOff(step="pay", attempt=1, outcome=outcome, error="no", until=NOON)


def failed(error: str = "500 oops") -> CompensationFailed:
    return CompensationFailed(step="pay", attempt=1, error=error)


@pytest.mark.parametrize(
    "unsettled",
    [
        StepCalled(step="pay", attempt=1),
        WaitStarted(step="pay", until=NOON),
        StepBackedOff(step="pay", attempt=1, outcome=Outcome.BUSY, error="425", until=NOON),
    ],
)
def test_an_undo_before_all_is_settled_is_found_out(unsettled: Event) -> None:
    history = [StepCalled(step="pay", attempt=1), unsettled, BACK, UNDO]

    assert len(list(undo_settles_first(history))) == 1
    assert list(undo_settles_first([*history[:-1], LOST, UNDO])) == []


def test_a_doubt_about_what_was_heard_is_found_out() -> None:
    given_up = SagaAbandoned(reason="enough")

    assert len(list(doubt_has_a_reason([LOST], ParticipantsModel()))) == 1
    assert list(doubt_has_a_reason([LOST], ParticipantsModel(uncertain_steps={"pay"}))) == []
    assert list(doubt_has_a_reason([LOST, given_up], ParticipantsModel())) == []


def test_a_failure_that_stops_the_others_though_it_may_be_passed_over_is_found_out() -> None:
    history = [*BOTH_DONE, BACK, failed(), SagaParked(reason="pay failed")]

    found = list(failures_are_passed_over(define("book", "pay continue"), history))

    assert found == ["parked over ['pay'], and nobody tried to undo ['book']"]
    assert list(failures_are_passed_over(define("book", "pay"), history)) == []


@pytest.mark.parametrize(
    ("history", "complaints"),
    [
        ([backed_off(Outcome.UNKNOWN), backed_off(Outcome.UNKNOWN)], 1),
        ([backed_off(Outcome.UNKNOWN), failed()], 0),
        ([backed_off(Outcome.BUSY), backed_off(Outcome.BUSY), failed()], 1),
        ([failed()], 1),
        ([failed(REJECTED.reason)], 0),
        ([failed(), SagaAbandoned(reason="enough")], 0),
    ],
)
def test_too_many_and_too_few_attempts_are_found_out(history: list[Event], complaints: int) -> None:
    definition = define("book", "pay undo_attempts=2")

    assert len(list(undo_is_tried_as_told(definition, history))) == complaints
