"""`retry`: skip a back-off, or retry a parked saga."""

from __future__ import annotations

import pytest
from saga_orchestrator.fsm.call_outcome import CallOutcome, OutputLoss
from saga_orchestrator.fsm.errors import NotAllowed
from saga_orchestrator.fsm.events import (
    CompensationBackedOff,
    CompensationCalled,
    RetryRequested,
    SagaParked,
    SagaUnparked,
    StatusQueried,
    StepCalled,
    StepRejected,
)
from saga_orchestrator.fsm.inputs import Retry, SendSignal, TimerFired
from saga_orchestrator.fsm.testing import (
    BUSY,
    DONE,
    NOON,
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
    status_answer,
)
from saga_orchestrator.tests.unit.fsm.decider.scenarios import (
    FIRST_WAIT,
    MINUTE,
    TWO,
    all_done,
    all_undone,
    mapped,
)

RETRY = Retry(actor="anna", reason="the bank is back")
UNPARKED = SagaUnparked(back=False, actor="anna", reason="the bank is back")
UNPARKED_BACK = SagaUnparked(
    back=True, actor="anna", reason="the bank is back", undo_again=("pay",)
)
PIVOT_ONCE = define("book", "pay pivot attempts=1", "ship attempts=2")


def test_a_step_that_backs_off_is_called_at_once() -> None:
    given(TWO).when(action_answer("book", UNKNOWN)).when(RETRY).then(
        RetryRequested(actor="anna", reason="the bank is back"), StepCalled(step="book", attempt=2)
    ).then_calls("book#2")


def test_the_wait_that_was_skipped_does_not_come_any_more() -> None:
    case = given(TWO).when(action_answer("book", UNKNOWN)).when(RETRY)

    case.when(TimerFired(), after=MINUTE).then_nothing_happened()


def test_a_busy_step_is_called_again_with_its_attempt() -> None:
    given(TWO).when(action_answer("book", BUSY)).when(RETRY).then_calls("book#1")


def test_retry_queries_the_status_of_an_uncertain_step_first() -> None:
    case = given(define("book status")).when(action_answer("book", UNKNOWN)).when(RETRY)

    case.then_calls("status book#1")
    assert case.events[1:] == (StatusQueried(step="book", attempt=1),)


def test_a_compensation_that_backs_off_is_called_at_once() -> None:
    case = all_done(given(TWO), "book").when(action_answer("pay", REJECTED))

    case.when(compensation_answer("book", UNKNOWN)).when(RETRY).then_calls("undo book#2")


def unknown_pivot() -> Scenario:
    case = all_done(given(PIVOT_ONCE), "book").when(action_answer("pay", UNKNOWN))
    return case.then_status("parked", pay="unknown")


def test_an_unknown_pivot_is_called_again() -> None:
    case = unknown_pivot().when(RETRY).then(UNPARKED, StepCalled(step="pay", attempt=2))
    assert (case.state.parked, case.state.error) == (None, None)

    all_done(case.when(action_answer("pay", DONE, attempt=2)), "ship").then_status("completed")


def test_a_rejection_after_an_unknown_attempt_that_was_retried_is_still_unknown() -> None:
    case = unknown_pivot().when(RETRY).when(action_answer("pay", REJECTED, attempt=2))

    assert case.events == (
        StepRejected(step="pay", attempt=2, error="409 no"),
        SagaParked(reason="pay has an unknown outcome: 409 no", not_done=("pay", "ship")),
    )


@pytest.mark.parametrize("outcome", [REJECTED, UNKNOWN, NOT_SENT])
def test_a_step_after_the_pivot_is_called_again_and_has_all_its_attempts(
    outcome: CallOutcome,
) -> None:
    definition = define("pay pivot", "ship attempts=2")
    case = all_done(given(definition), "pay").when(action_answer("ship", NOT_SENT))
    case = case.when(TimerFired(), after=MINUTE).when(action_answer("ship", outcome, attempt=2))
    case = case.then_status("parked").when(RETRY).then_calls("ship#3")

    case = case.when(action_answer("ship", NOT_SENT, attempt=3), jitter=0.5)
    assert case.step("ship").next_attempt_at == case.now + FIRST_WAIT / 2
    case = case.when(TimerFired(), after=MINUTE).then_calls("ship#4")
    case.when(action_answer("ship", NOT_SENT, attempt=4)).then_status("parked")


def test_questions_count_from_the_retry_as_well() -> None:
    definition = define("pay pivot", "ship status attempts=2")
    case = all_done(given(definition), "pay").when(action_answer("ship", UNKNOWN))
    case = case.when(TimerFired(), after=MINUTE).when(status_answer("ship", UNKNOWN))
    case = case.then_status("parked", ship="unknown").when(RETRY).then_calls("ship#2")

    case = case.when(action_answer("ship", UNKNOWN, attempt=2)).then_status("running")
    case = case.when(TimerFired(), after=MINUTE).then_calls("status ship#2")
    case.when(status_answer("ship", UNKNOWN, attempt=2)).then_status("parked", ship="unknown")


def test_a_step_is_finished_where_it_was_done_and_not_where_it_had_failed() -> None:
    definition = define("pay pivot", "ship after=pay attempts=1", "mail after=pay")
    case = all_done(given(definition), "pay").when(action_answer("ship", UNKNOWN))
    case = case.when(action_answer("mail", DONE)).when(RETRY)
    assert case.state.finished == ("pay", "mail")

    case = case.when(action_answer("ship", DONE, attempt=2))
    assert case.state.finished == ("pay", "mail", "ship")


def test_a_lost_output_is_accepted_by_a_retry() -> None:
    lost = done_without_output(OutputLoss.TOO_LARGE)
    case = given(TWO).when(action_answer("book", lost)).then_status("parked")

    all_done(case.when(RETRY).then_calls("pay#1"), "pay").then_status("completed")


def test_a_retry_that_would_only_park_again_is_refused_with_the_cause() -> None:
    action = {"path": "/pay/${steps.book.output.id}"}
    case = all_done(given(mapped(dict(document("book", "pay")), 1, action=action)), "book")
    case = case.then_status("parked").when(RETRY)

    case.then_refused(NotAllowed, "it would park again: the action of pay cannot be called")


def test_wait_that_was_completed_is_not_begun_again() -> None:
    definition = define("approve signal=go", "pay pivot", "ship attempts=1")
    case = all_done(given(definition).when(SendSignal(name="go")), "pay")
    case = case.when(action_answer("ship", UNKNOWN)).when(RETRY, after=3 * 24 * 60 * MINUTE)

    case.then(UNPARKED, StepCalled(step="ship", attempt=2))


def test_a_deadline_that_has_passed_counts_no_more() -> None:
    case = all_done(given(define("pay pivot", "ship", deadline="1m")), "pay")
    case = case.when(action_answer("ship", UNKNOWN)).when(TimerFired(), after=MINUTE)

    case = case.then_status("parked").when(RETRY).then_calls("ship#2")
    assert case.state.deadline is None


def test_a_deadline_that_is_to_come_still_counts() -> None:
    case = all_done(given(define("pay pivot", "ship attempts=1", "mail", deadline="1m")), "pay")
    case = case.when(action_answer("ship", UNKNOWN)).when(RETRY)
    assert case.state.deadline == NOON + MINUTE

    case = case.when(TimerFired(), after=MINUTE).then_nothing_happened()
    case.when(action_answer("ship", DONE, attempt=2)).then_status("parked", ship="succeeded")


def failed_undo(words: str = "") -> Scenario:
    case = all_done(given(define("book", f"pay undo_attempts=2 {words}", "last")), "book", "pay")
    return case.when(action_answer("last", REJECTED)).when(compensation_answer("pay", REJECTED))


def test_a_failed_compensation_is_called_again_and_has_all_its_attempts() -> None:
    case = failed_undo().then_status("parked").when(RETRY)
    case.then(UNPARKED_BACK, CompensationCalled(step="pay", attempt=2))

    case = case.when(compensation_answer("pay", UNKNOWN, attempt=2), jitter=0.5)
    case.then(
        CompensationBackedOff(
            step="pay",
            attempt=2,
            outcome=UNKNOWN.kind,
            error="500 oops",
            until=NOON + FIRST_WAIT / 2,
        )
    )
    case = case.when(TimerFired(), after=MINUTE).then_calls("undo pay#3")
    case.when(compensation_answer("pay", UNKNOWN, attempt=3)).then_status("parked")
    all_undone(case.when(compensation_answer("pay", DONE, attempt=3)), "book").then_status(
        "compensated"
    )


def test_retry_calls_all_failed_compensations_the_last_first() -> None:
    """I4."""
    case = failed_undo("continue").when(compensation_answer("book", REJECTED)).then_status("parked")

    case = case.when(RETRY).then_calls("undo pay#2")
    case = case.when(compensation_answer("pay", DONE, attempt=2)).then_calls("undo book#2")
    case.when(compensation_answer("book", DONE, attempt=2)).then_status("compensated")
    case.when(compensation_answer("book", REJECTED, attempt=2)).then_status(
        "parked", pay="compensated", book="compensation_failed"
    )


def test_compensation_that_fails_again_may_be_passed_over_again() -> None:
    case = failed_undo("continue").when(compensation_answer("book", REJECTED)).when(RETRY)

    case = case.when(compensation_answer("pay", REJECTED, attempt=2)).then_calls("undo book#2")
    case.when(compensation_answer("book", DONE, attempt=2)).then_status(
        "parked", pay="compensation_failed"
    )


def test_an_error_stays_on_the_way_back() -> None:
    case = failed_undo().when(RETRY)

    assert case.state.error == "last was rejected: 409 no"
