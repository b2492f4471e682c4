"""Each promise of turning back is broken once on purpose, and must be found broken."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from saga_orchestrator.fsm.call_outcome import Outcome
from saga_orchestrator.fsm.codec import encode
from saga_orchestrator.fsm.events import (
    Cause,
    CompensationRequested,
    CompensationStarted,
    Event,
    SagaCompleted,
    SagaPaused,
    SagaResumed,
    SagaUnparked,
    StepBackedOff,
    StepCalled,
    StepRejected,
    StepSucceeded,
    WaitStarted,
)
from saga_orchestrator.fsm.inputs import StartSaga
from saga_orchestrator.fsm.testing import NOON, SAGA_ID, LogRow, SimulatedProcess, define
from saga_orchestrator.fsm.testing.back_promises import deadlines_are_kept, requests_are_followed

DEFINITION = define("book", "pay pivot", "ship", deadline="1m")
LATE = NOON + timedelta(minutes=1)
BACK = CompensationStarted(cause=Cause.DEADLINE, error="too late")
SHIP = StepCalled(step="ship", attempt=1)
PAY = StepCalled(step="pay", attempt=1)
REFUSED = StepRejected(step="pay", attempt=1, error="no")
PAID = StepSucceeded(step="pay", attempt=1)


def told(*rows: tuple[Event, datetime]) -> SimulatedProcess:
    """A process whose log, after its start, is made up."""
    process = SimulatedProcess(DEFINITION, SAGA_ID, StartSaga(entity_id=1, input={}), now=NOON)
    process.log = process.log[:1] + [
        LogRow(one.type_name, one.schema_version, encode(one), at) for one, at in rows
    ]
    return process


@pytest.mark.parametrize("begins", [SHIP, WaitStarted(step="ship", until=LATE)])
def test_what_begins_after_the_deadline_is_found_out(begins: Event) -> None:
    assert list(deadlines_are_kept(told((begins, NOON)))) == []
    assert len(list(deadlines_are_kept(told((begins, LATE))))) == 1


def test_after_the_deadline_a_person_or_a_pivot_may_let_it_go_on() -> None:
    asked = told((SagaUnparked(back=False), LATE), (SHIP, LATE))
    passed = told((PAY, NOON), (PAID, NOON), (SHIP, LATE))
    refused = told(
        (PAY, NOON), (StepRejected(step="pay", attempt=1, error="no"), NOON), (SHIP, LATE)
    )

    assert [len(list(deadlines_are_kept(one))) for one in (asked, passed, refused)] == [0, 0, 1]


def test_a_deadline_that_turns_a_saga_back_too_early_is_found_out() -> None:
    paused = told((SagaPaused(), NOON), (SagaResumed(), LATE), (BACK, LATE))

    assert list(deadlines_are_kept(told((BACK, LATE)))) == []
    assert len(list(deadlines_are_kept(told((BACK, NOON))))) == 1
    assert len(list(deadlines_are_kept(paused))) == 1


@pytest.mark.parametrize("goes_on", [SHIP, SagaCompleted()])
def test_what_goes_forward_after_the_turn_is_found_out(goes_on: Event) -> None:
    assert len(list(requests_are_followed(DEFINITION, [BACK, goes_on]))) == 1


def test_a_request_that_is_forgotten_is_found_out_unless_a_pivot_was_passed() -> None:
    asked: list[Event] = [PAY, CompensationRequested()]

    assert len(list(requests_are_followed(DEFINITION, [*asked, REFUSED, SHIP]))) == 2
    assert list(requests_are_followed(DEFINITION, [*asked, PAID, SHIP, SagaCompleted()])) == []


def test_a_request_that_waits_for_nothing_is_found_out() -> None:
    def waits(outcome: Outcome, *, resent: bool = False) -> list[str]:
        off = StepBackedOff(
            step="pay", attempt=1, outcome=outcome, error="", until=LATE, resent=resent
        )
        return list(requests_are_followed(DEFINITION, [PAY, off, CompensationRequested()]))

    assert len(waits(Outcome.THROTTLED)) == len(waits(Outcome.NOT_SENT)) == 1
    assert waits(Outcome.BUSY) == waits(Outcome.THROTTLED, resent=True) == []


def test_what_begins_after_a_failure_is_found_out_unless_a_pivot_is_in_doubt() -> None:
    failed = StepRejected(step="book", attempt=1, error="no")

    assert len(list(requests_are_followed(DEFINITION, [failed, SHIP]))) == 1
    assert list(requests_are_followed(DEFINITION, [PAY, failed, SHIP])) == []
