"""R4: deadlines and requests to compensate, before and after the pivot."""

from __future__ import annotations

import pytest
from saga_orchestrator.fsm.call_outcome import CallOutcome, OutputLoss
from saga_orchestrator.fsm.decider.decide import allowed_actions
from saga_orchestrator.fsm.errors import NotCompensatable
from saga_orchestrator.fsm.events import (
    Cause,
    CompensationCalled,
    CompensationRequested,
    CompensationStarted,
    SagaCompensated,
    SagaParked,
    StepSucceeded,
    StepUnknown,
)
from saga_orchestrator.fsm.inputs import Compensate, TimerFired
from saga_orchestrator.fsm.testing import (
    DONE,
    NOON,
    NOT_SENT,
    REJECTED,
    UNKNOWN,
    Scenario,
    action_answer,
    compensation_answer,
    define,
    done_without_output,
    given,
)
from saga_orchestrator.tests.unit.fsm.decider.scenarios import (
    ASKED,
    MINUTE,
    PIVOT,
    TWO,
    all_done,
    all_undone,
)


def late(case: Scenario) -> Scenario:
    return case.when(TimerFired(), after=10 * MINUTE)


def test_a_deadline_before_the_pivot_compensates() -> None:
    definition = define("book", "pay", deadline="1m")
    case = late(given(definition).when(action_answer("book", UNKNOWN)))

    case.then(
        CompensationStarted(
            cause=Cause.DEADLINE, error="the deadline passed before book, pay could be done"
        ),
        StepUnknown(step="book", attempt=1, error="500 oops"),
        CompensationCalled(step="book", attempt=1),
    )


def test_a_deadline_awaits_the_call_that_is_out() -> None:
    case = late(given(define("book", "pay", deadline="1m"))).then_calls()

    case.when(action_answer("book", DONE)).then_calls("undo book#1")


def test_the_last_answer_wins_against_a_deadline_that_it_is_recorded_before() -> None:
    """R6."""
    definition = define("book", deadline="1m")

    given(definition).when(action_answer("book", DONE), after=10 * MINUTE).then_status("completed")
    late(given(definition)).when(action_answer("book", DONE)).then_calls("undo book#1")


def test_an_answer_after_the_deadline_starts_nothing_new() -> None:
    case = given(define("book", "pay", deadline="1m"))

    case.when(action_answer("book", DONE), after=10 * MINUTE).then_calls("undo book#1")


def test_a_saga_that_starts_after_its_deadline_is_compensated_at_once() -> None:
    given(TWO, deadline=NOON).then_calls().then_status("compensated")


def test_a_deadline_after_the_pivot_parks() -> None:
    definition = define("book", "pay pivot", "ship", deadline="1m")
    case = all_done(given(definition), "book", "pay").when(action_answer("ship", UNKNOWN))

    late(case).then(
        SagaParked(reason="the deadline passed before ship could be done", not_done=("ship",))
    ).then_status("parked", book="succeeded", pay="succeeded")


def test_a_deadline_after_the_pivot_awaits_the_call_that_is_out() -> None:
    definition = define("book", "pay pivot", "ship", "mail", deadline="1m")
    case = late(all_done(given(definition), "book", "pay")).then_nothing_happened()

    case.when(action_answer("ship", DONE)).then(
        StepSucceeded(step="ship", attempt=1),
        SagaParked(reason="the deadline passed before mail could be done", not_done=("mail",)),
    )
    case.when(action_answer("ship", UNKNOWN)).then_calls().then_status("parked")


def test_a_last_step_that_is_done_after_the_deadline_completes() -> None:
    definition = define("book", "pay pivot", "ship", deadline="1m")
    case = late(all_done(given(definition), "book", "pay"))

    case.when(action_answer("ship", DONE)).then_status("completed")


def test_a_pivot_that_is_called_makes_the_deadline_wait() -> None:
    definition = define("book", "pay pivot", "ship", deadline="1m")
    case = late(all_done(given(definition), "book")).then_nothing_happened()

    case.when(action_answer("pay", DONE)).then_status("parked", pay="succeeded", ship="pending")
    case.when(action_answer("pay", REJECTED)).then_calls("undo book#1")


def test_a_pivot_that_backs_off_is_tried_on_after_the_deadline() -> None:
    definition = define("book", "pay pivot", "ship", deadline="1m")
    case = all_done(given(definition), "book").when(action_answer("pay", UNKNOWN))

    late(case).then_calls("pay#2")


def test_a_request_while_the_pivot_is_called_waits_for_it() -> None:
    case = all_done(given(PIVOT), "book").when(ASKED)
    case.then(CompensationRequested(actor="anna", reason="a mistake")).then_calls()

    case.when(ASKED).then_nothing_happened()
    case.when(action_answer("pay", DONE)).then_calls("ship#1").then_status("running")
    case.when(action_answer("pay", REJECTED)).then_calls("undo book#1")


def test_a_pivot_that_did_not_happen_is_not_passed() -> None:
    case = all_done(given(PIVOT), "book").when(action_answer("pay", REJECTED))

    case.then_calls("undo book#1")
    all_undone(case, "book").then_status("compensated", pay="rejected")


def test_an_unknown_pivot_parks_and_undoes_nothing() -> None:
    definition = define("book", "pay pivot attempts=1", "ship")
    case = all_done(given(definition), "book").when(action_answer("pay", UNKNOWN))

    case.then(
        StepUnknown(step="pay", attempt=1, error="500 oops"),
        SagaParked(reason="pay has an unknown outcome: 500 oops", not_done=("pay", "ship")),
    ).then_calls()


def test_parked_saga_with_an_unknown_pivot_cannot_be_compensated() -> None:
    definition = define("book", "pay pivot attempts=1", "ship")
    case = all_done(given(definition), "book").when(action_answer("pay", UNKNOWN)).when(ASKED)

    case.then_refused(NotCompensatable, "the outcome of its pivot is unknown")
    assert allowed_actions(case.latest_saga) == ("retry", "abandon", "skip", "resolve")


@pytest.mark.parametrize("outcome", [REJECTED, UNKNOWN, NOT_SENT])
def test_a_step_after_the_pivot_that_fails_parks(outcome: CallOutcome) -> None:
    definition = define("book", "pay pivot", "ship attempts=1")
    case = all_done(given(definition), "book", "pay").when(action_answer("ship", outcome))

    case.then_calls().then_status("parked", book="succeeded", pay="succeeded")
    assert case.events[-1] == SagaParked(reason=case.state.error or "", not_done=("ship",))


def test_attempts_after_the_pivot_have_no_limit() -> None:
    case = all_done(given(PIVOT), "book", "pay")
    for attempt in range(1, 100):
        case = case.when(action_answer("ship", UNKNOWN, attempt=attempt))
        case = case.when(TimerFired(), after=MINUTE).then_calls(f"ship#{attempt + 1}")


def test_a_request_before_the_start_compensates_at_once() -> None:
    case = given(TWO, start_at=NOON + MINUTE).when(ASKED)

    case.then(
        CompensationStarted(
            cause=Cause.REQUEST,
            error="compensation was requested: a mistake",
            actor="anna",
            reason="a mistake",
        ),
        SagaCompensated(),
    )


def test_a_request_while_it_runs_turns_it_back() -> None:
    given(TWO).when(action_answer("book", DONE)).when(ASKED).then_status("compensating")


def test_a_request_without_a_reason_says_so_much() -> None:
    case = given(TWO).when(Compensate())

    assert case.state.error == "compensation was requested"


def test_a_completed_saga_can_be_undone() -> None:
    case = all_done(given(TWO), "book", "pay")
    assert allowed_actions(case.saga) == ("compensate",)

    all_undone(case.when(ASKED).then_calls("undo pay#1"), "pay", "book").then_status(
        "compensated", book="compensated", pay="compensated"
    )


@pytest.mark.parametrize(
    ("steps", "allowed"),
    [(("book", "pay"), ("pause", "abandon")), (("book", "pay", "ship"), ())],
)
def test_saga_cannot_be_compensated_after_its_pivot(
    steps: tuple[str, ...], allowed: tuple[str, ...]
) -> None:
    case = all_done(given(PIVOT), *steps)

    case.when(ASKED).then_refused(NotCompensatable, "its pivot has succeeded")
    assert allowed_actions(case.saga) == allowed


def test_a_saga_parked_on_its_way_forward_can_be_undone() -> None:
    lost = done_without_output(OutputLoss.TOO_LARGE)
    case = given(TWO).when(action_answer("book", lost)).then_status("parked").when(ASKED)

    case.then_calls("undo book#1")
    assert case.state.parked is None


def test_a_saga_parked_on_its_way_back_cannot() -> None:
    case = given(TWO).when(action_answer("book", DONE)).when(action_answer("pay", REJECTED))
    case = case.when(compensation_answer("book", REJECTED)).then_status("parked")

    case.when(ASKED).then_refused(NotCompensatable, "parked while compensating")
