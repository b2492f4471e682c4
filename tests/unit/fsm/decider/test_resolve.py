"""`resolve`: an operator establishes the outcome of a step."""

from __future__ import annotations

import pytest
from saga_orchestrator.fsm.call_outcome import CallOutcome, OutputLoss
from saga_orchestrator.fsm.errors import NotAllowed, StepNotFound
from saga_orchestrator.fsm.events import (
    Cause,
    CompensationCalled,
    CompensationStarted,
    Resolution,
    SagaCompensated,
    SagaParked,
    SagaUnparked,
    StepCalled,
    StepResolved,
)
from saga_orchestrator.fsm.formats.strict_json import Json
from saga_orchestrator.fsm.inputs import ResolveStep, Retry, SendSignal, SkipStep, TimerFired
from saga_orchestrator.fsm.testing import (
    DONE,
    NOT_SENT,
    REJECTED,
    UNKNOWN,
    Scenario,
    action_answer,
    compensation_answer,
    define,
    document,
    done_without_output,
    given,
)
from saga_orchestrator.tests.unit.fsm.decider.scenarios import MINUTE, TWO, all_done, mapped

DEFINITION = define("book", "pay pivot attempts=1", "ship attempts=1", "mail")


def found(step: str, resolution: str, output: Json = None) -> ResolveStep:
    return ResolveStep(
        step=step,
        verdict=Resolution(resolution),
        evidence="statement 4711",
        output=output,
        actor="anna",
        reason="asked the bank",
    )


def resolved(step: str, resolution: str, output: Json = None) -> StepResolved:
    return StepResolved(
        step=step,
        verdict=Resolution(resolution),
        evidence="statement 4711",
        output=output,
        actor="anna",
        reason="asked the bank",
    )


def unparked(*, back: bool) -> SagaUnparked:
    return SagaUnparked(back=back, actor="anna", reason="asked the bank")


def unknown_pivot() -> Scenario:
    return all_done(given(DEFINITION), "book").when(action_answer("pay", UNKNOWN))


def failed_after_pivot(outcome: CallOutcome) -> Scenario:
    case = all_done(given(DEFINITION), "book", "pay").when(action_answer("ship", outcome))
    return case.then_status("parked")


def failed_undo(words: str = "") -> Scenario:
    case = all_done(given(define("book", f"pay {words}", "last")), "book", "pay")
    case = case.when(action_answer("last", REJECTED))
    return case.when(compensation_answer("pay", REJECTED))


def test_an_unknown_pivot_that_was_done_goes_forward() -> None:
    case = unknown_pivot().when(found("pay", "done", {"id": 7}))

    case.then(
        resolved("pay", "done", {"id": 7}), unparked(back=False), StepCalled(step="ship", attempt=1)
    )
    assert (case.step("pay").output, case.step("pay").last_error) == ({"id": 7}, None)
    assert case.saga.pivot_succeeded


def test_an_unknown_pivot_that_was_not_done_is_compensated() -> None:
    unknown_pivot().when(found("pay", "not_done")).then(
        resolved("pay", "not_done"),
        unparked(back=False),
        CompensationStarted(cause=Cause.STEP_FAILED, error="pay could not be sent: 500 oops"),
        CompensationCalled(step="book", attempt=1),
    )


@pytest.mark.parametrize("outcome", [UNKNOWN, REJECTED, NOT_SENT])
def test_a_step_after_the_pivot_that_was_not_done_is_called_again(outcome: CallOutcome) -> None:
    case = failed_after_pivot(outcome).when(found("ship", "not_done"))

    case.then(
        resolved("ship", "not_done"), unparked(back=False), StepCalled(step="ship", attempt=2)
    )
    case.when(action_answer("ship", REJECTED, attempt=2)).then_status("parked", ship="rejected")


@pytest.mark.parametrize("outcome", [UNKNOWN, REJECTED, NOT_SENT])
def test_a_step_after_the_pivot_that_was_done_goes_on(outcome: CallOutcome) -> None:
    case = failed_after_pivot(outcome).when(found("ship", "done")).then_calls("mail#1")

    all_done(case, "mail").then_status("completed", ship="succeeded")


def test_a_wait_that_came_to_nothing_after_the_pivot_is_begun_again() -> None:
    case = all_done(given(define("pay pivot", "approve signal=go", "ship")), "pay")
    case = case.when(TimerFired(), after=24 * 60 * MINUTE).then_status("parked")

    case = case.when(found("approve", "not_done")).then_status("running", approve="waiting")
    case.when(SendSignal(name="go")).then_calls("ship#1")


def test_a_failed_compensation_that_was_done_by_hand_lets_the_others_be_undone() -> None:
    case = failed_undo().when(found("pay", "undone"))

    case.then(
        resolved("pay", "undone"),
        unparked(back=True),
        CompensationCalled(step="book", attempt=1),
    )
    case.when(compensation_answer("book", DONE)).then_status(
        "compensated", pay="resolved", book="compensated"
    )


def test_the_last_one_that_was_undone_by_hand_ends_it() -> None:
    case = failed_undo("continue").when(compensation_answer("book", DONE)).then_status("parked")

    case.when(found("pay", "undone")).then(
        resolved("pay", "undone"), unparked(back=True), SagaCompensated()
    )


def test_resolution_of_one_of_two_failed_compensations_leaves_the_other_alone() -> None:
    case = failed_undo("continue").when(compensation_answer("book", REJECTED))

    case = case.when(found("pay", "undone")).then(
        resolved("pay", "undone"),
        unparked(back=True),
        SagaParked(reason="compensation of book failed: 409 no", not_undone=("book",)),
    )
    case.then_calls().when(Retry()).then_calls("undo book#2")


@pytest.mark.parametrize(("named", "other"), [("pay", "book"), ("book", "pay")])
def test_a_retry_of_one_of_two_failed_compensations_leaves_the_other_alone(
    named: str, other: str
) -> None:
    case = failed_undo("continue").when(compensation_answer("book", REJECTED))

    case = case.when(Retry(step=named)).then_calls(f"undo {named}#2")
    case = case.when(compensation_answer(named, DONE, attempt=2)).then_calls()
    case.then_status("parked", **{named: "compensated", other: "compensation_failed"})


def done_after_all(words: str = "") -> Scenario:
    """Return a saga whose first compensation has failed, and whose rejected step was done."""
    case = all_done(given(define("book", f"pay {words}")), "book")
    case = case.when(action_answer("pay", REJECTED)).when(compensation_answer("book", REJECTED))
    return case.when(found("pay", "done")).then_calls().then_status("parked")


@pytest.mark.parametrize("retry", [Retry(), Retry(step="book")])
def test_retry_compensates_a_later_step_that_was_done_after_all_first(retry: Retry) -> None:
    """R3: a retry, also of one step, does not change the order."""
    case = done_after_all().when(retry).then_calls("undo pay#1")

    case = case.when(compensation_answer("pay", DONE)).then_calls("undo book#2")
    case.when(compensation_answer("book", DONE, attempt=2)).then_status("compensated")


def test_retried_compensation_waits_for_a_later_one_that_fails_and_stops_it() -> None:
    """R5."""
    case = done_after_all().when(Retry(step="book")).when(compensation_answer("pay", REJECTED))

    case = case.then_calls().then_status("parked", pay="compensation_failed")
    case.when(Retry(step="book")).then_refused(NotAllowed, "it would park again")
    case.when(Retry(step="pay")).then_calls("undo pay#2").when(
        compensation_answer("pay", DONE, attempt=2)
    ).then_calls("undo book#2")
    case.when(found("pay", "undone")).then_calls("undo book#2")
    case.when(found("book", "undone")).when(Retry()).then_calls("undo pay#2").when(
        compensation_answer("pay", DONE, attempt=2)
    ).then_status("compensated", book="resolved")


def test_retried_compensation_follows_a_later_one_that_fails_and_does_not_stop_it() -> None:
    case = done_after_all("continue").when(Retry(step="book"))

    case.when(compensation_answer("pay", REJECTED)).then_calls("undo book#2")


def test_resolution_of_a_failed_compensation_leaves_alone_one_that_stops() -> None:
    case = given(define("book", "pay", "seat continue", "last"))
    case = all_done(case, "book", "pay", "seat").when(action_answer("last", REJECTED))
    case = case.when(compensation_answer("seat", REJECTED)).when(
        compensation_answer("pay", REJECTED)
    )

    case = case.then_status("parked").when(found("seat", "undone")).then_calls()
    case.then_status("parked", seat="resolved", pay="compensation_failed", book="succeeded")


def test_step_resolved_as_undone_implies_the_compensations_it_covers() -> None:
    definition = define("book", "confirm undone_by=book", "pay")
    case = all_done(given(definition), "book", "confirm").when(action_answer("pay", REJECTED))
    case = case.when(compensation_answer("book", REJECTED)).when(found("book", "undone"))

    case.then_status("compensated", book="resolved", confirm="compensated")


def unmade_undo() -> Scenario:
    """Return a saga parked because compensating an unknown payment needs its output."""
    undo = {"path": "/pay/${steps.pay.output.id}/undo"}
    definition = mapped(dict(document("book", "pay attempts=1")), 1, compensation=undo)
    case = all_done(given(definition), "book").when(action_answer("pay", UNKNOWN))
    return case.then_status("parked", book="succeeded")


def test_an_unknown_step_that_was_not_done_need_not_be_undone() -> None:
    unmade_undo().when(found("pay", "not_done")).then_calls("undo book#1").then_status(
        "compensating", pay="not_sent"
    )


def test_an_unknown_step_that_was_done_is_undone_with_what_was_found_out() -> None:
    case = unmade_undo().when(found("pay", "done", {"id": 7})).then_calls("undo pay#1")

    assert case.calls[0].path == "/pay/7/undo"


def test_step_resolved_as_undone_is_not_compensated_again() -> None:
    case = unmade_undo().when(found("pay", "undone")).then_calls("undo book#1")

    case.when(compensation_answer("book", DONE)).then_status("compensated", pay="resolved")


def test_step_of_a_saga_that_does_not_compensate_cannot_be_resolved_as_undone() -> None:
    case = unknown_pivot().when(found("book", "undone"))
    case.then_refused(NotAllowed, "it is not compensating")

    lost = given(TWO).when(action_answer("book", done_without_output(OutputLoss.TOO_LARGE)))
    lost.when(found("book", "undone")).then_refused(NotAllowed, "it is not compensating")


@pytest.mark.parametrize(
    ("step", "outcome", "why"),
    [
        ("book", "done", "book is done, and the saga is not parked for its output"),
        ("book", "not_done", "book is done, so its outcome cannot be not_done"),
        ("ship", "done", "ship has not begun, so its outcome cannot be done"),
        ("ship", "undone", "ship has not begun, so its outcome cannot be undone"),
        ("ship", "done", "(possible now: resolve of pay with outcome done or not_done)"),
    ],
)
def test_step_with_a_certain_outcome_cannot_be_resolved(step: str, outcome: str, why: str) -> None:
    unknown_pivot().when(found(step, outcome)).then_refused(NotAllowed, why)


def test_unknown_step_cannot_be_resolved() -> None:
    unknown_pivot().when(found("nobody", "done")).then_refused(StepNotFound)


def test_a_step_that_was_not_done_is_not_called_on_the_way_back() -> None:
    definition = define("book", "pay pivot", "ship attempts=1")
    case = all_done(given(definition).when(SkipStep(step="pay")), "book")
    case = case.when(action_answer("ship", UNKNOWN)).when(compensation_answer("book", DONE))
    case = case.then_status("parked", ship="unknown")

    case.when(found("ship", "not_done")).then(
        resolved("ship", "not_done"), unparked(back=True), SagaCompensated()
    )
