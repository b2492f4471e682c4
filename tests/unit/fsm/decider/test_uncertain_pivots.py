"""R4: a pivot that is called, or may have happened, is waited for; one that certainly was not
executed keeps nobody waiting."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

import pytest
from saga_orchestrator.fsm.call_outcome import CallOutcome, Outcome
from saga_orchestrator.fsm.decider.dry_run import plan_compensation
from saga_orchestrator.fsm.events import CompensationRequested, StepBackedOff
from saga_orchestrator.fsm.inputs import Cancel, CircuitClosed, Compensate, Input, Retry, TimerFired
from saga_orchestrator.fsm.testing import (
    BUSY,
    CIRCUIT_OPEN,
    DONE,
    NOON,
    NOT_DONE,
    NOT_SENT,
    REJECTED,
    THROTTLED,
    UNKNOWN,
    Scenario,
    action_answer,
    callback_done,
    circuit_open,
    define,
    given,
    status_answer,
    throttled,
)
from saga_orchestrator.tests.unit.fsm.decider.scenarios import MINUTE

LATE = 10 * MINUTE
LONG = 60 * MINUTE
NOT_EXECUTED: dict[str, Sequence[CallOutcome]] = {
    "not sent": [NOT_SENT],
    "throttled": [THROTTLED],
    "throttled for an hour": [throttled(LONG)],
    "held back": [CIRCUIT_OPEN],
    "held back for an hour": [circuit_open(LONG)],
    "none of these": [NOT_SENT, THROTTLED, CIRCUIT_OPEN, NOT_SENT],
}
IN_DOUBT: dict[str, Sequence[CallOutcome]] = {
    "unknown": [UNKNOWN],
    "busy": [BUSY],
    "throttled after an unknown one": [UNKNOWN, THROTTLED],
    "not sent after a busy one": [BUSY, NOT_SENT],
    "held back after an unknown one": [UNKNOWN, CIRCUIT_OPEN],
}
TURNS: dict[str, Input] = {
    "cancel": Cancel(reason="enough"),
    "compensate": Compensate(reason="enough"),
    "the deadline": TimerFired(),
    "a sibling that fails": action_answer("mail", REJECTED),
}
TRIP = define("book", "mail after=book", "pay pivot after=book", deadline="9m")


def pivot_backs_off(outcomes: Sequence[CallOutcome]) -> Scenario:
    """Return a saga with `mail` in flight and these results of the attempts of `pay`."""
    case = given(TRIP).when(action_answer("book", DONE))
    for outcome in outcomes:
        if case.step("pay").status == "backing_off":
            due = case.step("pay").next_attempt_at
            assert due is not None
            case = case.when(TimerFired(), after=max(due - case.now, timedelta()))
        case = case.when(action_answer("pay", outcome, attempt=case.step("pay").attempts))
    return case


@pytest.mark.parametrize("turn", TURNS)
@pytest.mark.parametrize("outcomes", NOT_EXECUTED)
def test_a_pivot_that_was_not_executed_keeps_nothing_from_turning_back(
    outcomes: str, turn: str
) -> None:
    case = pivot_backs_off(NOT_EXECUTED[outcomes])

    case = case.when(TURNS[turn], after=LATE if turn == "the deadline" else timedelta())

    case.then_status("compensating", pay="not_sent")
    assert all(call.direction == "compensation" for call in case.calls)
    case.when(CircuitClosed("pay-service")).then_nothing_happened()
    assert not case.when(TimerFired(), after=LONG).then_nothing_happened().calls


@pytest.mark.parametrize("turn", TURNS)
@pytest.mark.parametrize("outcomes", IN_DOUBT)
def test_a_pivot_that_may_have_happened_is_waited_for(outcomes: str, turn: str) -> None:
    case = pivot_backs_off(IN_DOUBT[outcomes])

    case.when(TURNS[turn], after=LATE if turn == "the deadline" else timedelta()).then_status(
        "running"
    )


@pytest.mark.parametrize("outcomes", NOT_EXECUTED)
def test_request_during_the_pivot_call_applies_once_the_pivot_was_not_executed(
    outcomes: str,
) -> None:
    *before, last = NOT_EXECUTED[outcomes]
    case = pivot_backs_off(before)
    if before:
        case = case.when(TimerFired(), after=MINUTE)
    case = case.when(Cancel(reason="enough")).then(CompensationRequested(reason="enough"))

    case = case.when(action_answer("pay", last, attempt=case.step("pay").attempts))

    case.then_status("compensating", pay="not_sent")
    assert case.state.error == "compensation was requested: enough"


def test_an_attempt_that_a_crash_has_repeated_leaves_the_pivot_in_doubt() -> None:
    case = given(TRIP).when(action_answer("book", DONE))
    case = case.when(action_answer("pay", NOT_SENT, resent=True))

    case.when(Cancel()).then(CompensationRequested()).then_status("running")


def test_a_pivot_that_a_callback_has_called_done_is_in_doubt_until_its_reply() -> None:
    definition = define("book", "pay pivot callback")
    case = given(definition).when(action_answer("book", DONE)).when(callback_done("pay"))
    case = case.when(action_answer("pay", THROTTLED)).then_status("running", pay="backing_off")

    case.when(Cancel()).then(CompensationRequested()).then_status("running")


def test_a_step_that_a_callback_has_called_done_is_undone() -> None:
    case = given(define("book callback")).when(callback_done("book"))
    case = case.when(action_answer("book", THROTTLED)).when(Cancel())

    case.then_calls("undo book#1").then_status("compensating", book="compensating")


ASKING = define("book", "mail after=book", "pay pivot status after=book", deadline="9m")


def pivot_is_asked_about() -> Scenario:
    case = given(ASKING).when(action_answer("book", DONE)).when(action_answer("pay", UNKNOWN))
    return case.when(TimerFired(), after=MINUTE).then_calls("status pay#1")


@pytest.mark.parametrize("turn", TURNS)
def test_pivot_found_not_done_is_not_tried_again_during_a_request(
    turn: str,
) -> None:
    case = pivot_is_asked_about()
    case = case.when(TURNS[turn], after=LATE if turn == "the deadline" else timedelta())

    case = case.when(status_answer("pay", NOT_DONE))

    case.then_status("compensating", pay="not_sent")
    assert all(call.direction == "compensation" for call in case.calls)


def test_pivot_found_not_done_is_tried_again_otherwise() -> None:
    pivot_is_asked_about().when(status_answer("pay", NOT_DONE)).then_calls("pay#2")


def test_the_deadline_wakes_a_saga_whose_pivot_was_not_executed() -> None:
    case = pivot_backs_off([throttled(LONG)]).when(action_answer("mail", DONE))

    assert case.state.deadline == NOON + 9 * MINUTE
    case.when(TimerFired(), after=9 * MINUTE).then_status("compensating")


def test_a_saga_of_before_that_waits_with_such_a_pivot_turns_when_it_is_woken() -> None:
    """The log has a request, and a pivot that backs off."""
    history = [
        *given(define("book", "pay pivot")).when(action_answer("book", DONE)).events,
        CompensationRequested(reason="enough"),
        StepBackedOff(
            step="pay", attempt=1, outcome=Outcome.NOT_SENT, error="refused", until=NOON + MINUTE
        ),
    ]
    began = given(define("book", "pay pivot")).events[1:]
    case = given(define("book", "pay pivot"), history=[*began, *history])

    case.when(TimerFired(), after=MINUTE).then_calls("undo book#1")
    case.when(CircuitClosed("pay-service")).then_calls("undo book#1")
    case.when(Retry()).then_calls("undo book#1")


def test_the_dry_run_of_such_a_saga_undoes_what_was_done() -> None:
    saga = pivot_backs_off([THROTTLED]).when(action_answer("mail", DONE)).saga

    plan = plan_compensation(saga, now=NOON)

    assert [call.step for call in plan.calls if hasattr(call, "step")] == ["mail", "book"]
