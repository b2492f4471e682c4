"""R3: what is compensated, and in which order."""

from __future__ import annotations

import pytest
from hypothesis import given as drawn
from hypothesis import strategies as st
from saga_orchestrator.fsm.call_outcome import CallOutcome
from saga_orchestrator.fsm.events import (
    Cause,
    CompensationCalled,
    CompensationImplied,
    CompensationStarted,
    CompensationSucceeded,
    SagaCompensated,
    StepNotSent,
    StepRejected,
    StepUnknown,
)
from saga_orchestrator.fsm.inputs import TimerFired
from saga_orchestrator.fsm.testing import (
    BUSY,
    DONE,
    NOT_SENT,
    REJECTED,
    THROTTLED,
    UNKNOWN,
    action_answer,
    compensation_answer,
    define,
    given,
)
from saga_orchestrator.tests.unit.fsm.decider.scenarios import (
    MINUTE,
    THREE,
    TWO,
    all_done,
    all_undone,
)


def test_a_rejection_undoes_what_was_done_in_reverse() -> None:
    case = all_done(given(THREE), "book", "pay").when(action_answer("ship", REJECTED))
    case.then(
        StepRejected(step="ship", attempt=1, error="409 no"),
        CompensationStarted(cause=Cause.STEP_FAILED, error="ship was rejected: 409 no"),
        CompensationCalled(step="pay", attempt=1),
    ).then_calls("undo pay#1")
    case = case.when(compensation_answer("pay", DONE)).then(
        CompensationSucceeded(step="pay", attempt=1),
        CompensationCalled(step="book", attempt=1),
    )
    case.when(compensation_answer("book", DONE)).then(
        CompensationSucceeded(step="book", attempt=1), SagaCompensated()
    ).then_status("compensated", ship="rejected", pay="compensated", book="compensated")


def test_a_first_step_that_is_rejected_leaves_nothing_to_undo() -> None:
    given(TWO).when(action_answer("book", REJECTED)).then_calls().then_status("compensated")


def test_an_unknown_step_is_undone() -> None:
    definition = define("book", "pay attempts=1")

    all_done(given(definition), "book").when(action_answer("pay", UNKNOWN)).then(
        StepUnknown(step="pay", attempt=1, error="500 oops"),
        CompensationStarted(cause=Cause.STEP_FAILED, error="pay has an unknown outcome: 500 oops"),
        CompensationCalled(step="pay", attempt=1),
    )


def test_a_step_that_was_never_sent_is_not_undone() -> None:
    definition = define("book", "pay attempts=1")

    all_done(given(definition), "book").when(action_answer("pay", NOT_SENT)).then_calls(
        "undo book#1"
    ).then_status("compensating", pay="not_sent")


def test_a_rejection_after_an_unknown_attempt_leaves_it_unknown_and_undoes_it() -> None:
    case = given(TWO).when(action_answer("book", UNKNOWN)).when(TimerFired(), after=MINUTE)

    case.when(action_answer("book", REJECTED, attempt=2)).then_calls("undo book#1")


def test_a_rejection_after_many_tries_since_the_unknown_one_is_still_in_doubt() -> None:
    case = given(TWO)
    for attempt, outcome in ((1, UNKNOWN), (2, NOT_SENT), (3, THROTTLED), (3, BUSY)):
        case = case.when(action_answer("book", outcome, attempt=attempt))
        case = case.when(TimerFired(), after=MINUTE)

    case.when(action_answer("book", REJECTED, attempt=3)).then_calls("undo book#1")


def test_a_rejection_after_a_busy_attempt_is_a_rejection() -> None:
    case = given(TWO).when(action_answer("book", BUSY)).when(TimerFired(), after=MINUTE)

    case.when(action_answer("book", REJECTED)).then_calls().then_status(
        "compensated", book="rejected"
    )


def test_a_rejection_of_a_call_that_was_sent_twice_is_unknown() -> None:
    case = given(TWO).when(action_answer("book", REJECTED, resent=True))

    case.then_calls("undo book#1").then_status("compensating")
    assert case.state.finished == ("book",)


@pytest.mark.parametrize("outcome", [THROTTLED, NOT_SENT])
def test_a_call_that_was_sent_twice_stays_in_doubt(outcome: CallOutcome) -> None:
    case = given(TWO).when(action_answer("book", outcome, resent=True))
    case = case.when(TimerFired(), after=MINUTE)
    attempt = case.calls[0].attempt

    case.when(action_answer("book", REJECTED, attempt=attempt)).then_calls("undo book#1")


@pytest.mark.parametrize(
    ("outcomes", "status"),
    [
        ([NOT_SENT, NOT_SENT], "not_sent"),
        ([UNKNOWN, NOT_SENT], "unknown"),
        ([NOT_SENT, UNKNOWN], "unknown"),
    ],
)
def test_attempts_that_ran_out_are_unknown_if_one_of_them_was(
    outcomes: list[CallOutcome], status: str
) -> None:
    case = given(define("book attempts=2"))
    for attempt, outcome in enumerate(outcomes, 1):
        case = case.when(TimerFired(), after=MINUTE)
        case = case.when(action_answer("book", outcome, attempt=attempt))

    kind = StepUnknown if status == "unknown" else StepNotSent
    assert isinstance(case.events[0], kind)


def test_attempts_that_ran_out_after_a_busy_one_are_unknown() -> None:
    case = given(define("book attempts=1")).when(action_answer("book", BUSY))
    case = case.when(TimerFired(), after=MINUTE)

    case.when(action_answer("book", NOT_SENT)).then_calls("undo book#1")


def test_a_busy_attempt_is_not_forgotten_over_later_ones() -> None:
    case = given(define("book attempts=2"))
    for attempt, outcome in ((1, BUSY), (1, NOT_SENT), (2, NOT_SENT)):
        case = case.when(TimerFired(), after=MINUTE)
        case = case.when(action_answer("book", outcome, attempt=attempt))

    case.then_calls("undo book#1")


def test_the_only_attempt_sent_twice_and_then_not_at_all_is_unknown() -> None:
    case = given(define("book attempts=1"))

    case.when(action_answer("book", NOT_SENT, resent=True)).then_calls("undo book#1")


def test_a_rejected_step_is_undone_if_it_asks_for_it() -> None:
    definition = define("book", "pay on_reject")
    case = all_done(given(definition), "book").when(action_answer("pay", REJECTED))

    all_undone(case.then_calls("undo pay#1"), "pay", "book").then_status(
        "compensated", pay="compensated", book="compensated"
    )


def test_a_covered_step_is_undone_with_the_one_that_undoes_it() -> None:
    definition = define("book", "pay", "confirm undone_by=book", "ship")
    case = all_done(given(definition), "book", "pay", "confirm")
    case = case.when(action_answer("ship", REJECTED)).then_calls("undo pay#1")

    case.when(compensation_answer("pay", DONE)).when(compensation_answer("book", DONE)).then(
        CompensationSucceeded(step="book", attempt=1),
        CompensationImplied(step="confirm", by="book"),
        SagaCompensated(),
    ).then_status("compensated", confirm="compensated")


def test_an_unknown_step_is_covered_too() -> None:
    definition = define("book", "confirm undone_by=book attempts=1")
    case = all_done(given(definition), "book").when(action_answer("confirm", UNKNOWN))

    case.when(compensation_answer("book", DONE)).then_status("compensated", confirm="compensated")


def test_a_rejected_step_that_asks_for_it_is_covered_too() -> None:
    definition = define("book", "confirm undone_by=book on_reject")
    case = all_done(given(definition), "book").when(action_answer("confirm", REJECTED))

    case.when(compensation_answer("book", DONE)).then_status("compensated", confirm="compensated")


@pytest.mark.parametrize("outcome", [REJECTED, NOT_SENT])
def test_a_step_that_did_not_happen_is_not_covered(outcome: CallOutcome) -> None:
    definition = define("book", "confirm undone_by=book attempts=1")
    case = all_done(given(definition), "book").when(action_answer("confirm", outcome))

    case.when(compensation_answer("book", DONE)).then(
        CompensationSucceeded(step="book", attempt=1), SagaCompensated()
    )


def test_a_step_without_effect_is_not_undone() -> None:
    definition = define("look no_effect", "book", "pay")
    case = all_done(given(definition), "look", "book").when(action_answer("pay", REJECTED))

    all_undone(case.then_calls("undo book#1"), "book").then_status("compensated", look="succeeded")


@drawn(st.integers(1, 6), st.integers(0, 5))
def test_done_steps_are_compensated_in_reverse_whatever_fails(steps: int, at: int) -> None:
    names = [f"s{number}" for number in range(steps)]
    failing = names[at % steps]
    case = all_done(given(define(*names)), *names[: at % steps])
    case = case.when(action_answer(failing, REJECTED))
    undone = []
    while case.calls:
        undone.append(case.calls[0].step)
        case = case.when(compensation_answer(undone[-1], DONE))

    assert undone == names[: at % steps][::-1]
    assert case.state.status == "compensated"
