"""`completion: callback`: a callback of the participant completes an accepted step."""

from __future__ import annotations

import pytest
from saga_orchestrator.fsm.call_outcome import CallOutcome
from saga_orchestrator.fsm.errors import StepNotFound
from saga_orchestrator.fsm.events import (
    CallbackReceived,
    CompensationCalled,
    LateReplyIgnored,
    SagaParked,
    StepAccepted,
    StepCalled,
    StepRejected,
    StepSucceeded,
    StepUnknown,
)
from saga_orchestrator.fsm.inputs import Cancel, StepCallback, TimerFired
from saga_orchestrator.fsm.instructions import next_wakeup
from saga_orchestrator.fsm.testing import (
    ACCEPTED,
    DONE,
    NOON,
    NOT_DONE,
    NOT_SENT,
    REJECTED,
    UNKNOWN,
    Scenario,
    action_answer,
    callback_done,
    callback_failed,
    define,
    given,
    status_answer,
)
from saga_orchestrator.tests.unit.fsm.decider.scenarios import ASKED, MINUTE, all_done, all_undone

DEFINITION = define("book", "pay callback", "ship")
LIMIT = 15 * MINUTE


def called() -> Scenario:
    return all_done(given(DEFINITION), "book").then_calls("pay#1")


def accepted() -> Scenario:
    return called().when(action_answer("pay", ACCEPTED))


def test_an_accepted_step_waits_and_has_a_wake_up() -> None:
    case = accepted().then(StepAccepted(step="pay", attempt=1, until=NOON + LIMIT)).then_calls()

    assert case.step("pay").status == "waiting"
    assert next_wakeup(case.saga) == NOON + LIMIT


def test_call_says_that_it_awaits_a_callback() -> None:
    assert [call.awaits_callback for call in called().calls] == [True]
    assert [call.awaits_callback for call in given(DEFINITION).calls] == [False]


def test_callback_completes_the_step() -> None:
    accepted().when(callback_done("pay", {"id": 7})).then(
        StepSucceeded(step="pay", attempt=1, output={"id": 7}), StepCalled(step="ship", attempt=1)
    )


def test_callback_fails_the_step() -> None:
    case = accepted().when(callback_failed("pay", "card declined")).then_calls("undo book#1")

    assert case.events[0] == StepRejected(step="pay", attempt=1, error="card declined")


def test_a_callback_that_fails_what_is_in_doubt_leaves_it_unknown() -> None:
    case = called().when(action_answer("pay", UNKNOWN)).when(TimerFired(), after=MINUTE)
    case = case.when(action_answer("pay", ACCEPTED, attempt=2)).when(callback_failed("pay"))

    case.then_calls("undo pay#1")


def test_a_callback_before_the_reply_is_kept_and_counts_once_accepted() -> None:
    case = called().when(callback_done("pay", {"id": 7}))
    case.then(CallbackReceived(step="pay", done=True, output={"id": 7})).then_calls()

    case.when(action_answer("pay", ACCEPTED)).then(
        StepAccepted(step="pay", attempt=1, until=NOON + LIMIT),
        StepSucceeded(step="pay", attempt=1, output={"id": 7}),
        StepCalled(step="ship", attempt=1),
    )


def test_early_callback_that_fails_the_step_counts_too() -> None:
    case = called().when(callback_failed("pay", "card declined"))
    case.then(CallbackReceived(step="pay", done=False, error="card declined"))

    case = case.when(action_answer("pay", ACCEPTED)).then_calls("undo book#1")
    assert case.events[1] == StepRejected(step="pay", attempt=1, error="card declined")


@pytest.mark.parametrize(
    ("callback", "status"),
    [(callback_done("pay"), "parked"), (callback_failed("pay"), "compensated")],
)
def test_early_callback_about_a_pivot_counts_though_another_step_has_failed(
    callback: StepCallback, status: str
) -> None:
    case = given(define("book after=", "pay pivot callback after=", "ship after=book,pay"))
    case = case.when(callback).when(action_answer("book", REJECTED)).then_status("running")

    case = case.when(action_answer("pay", ACCEPTED))

    case.then_status(status)


def test_an_early_callback_is_kept_over_a_lost_reply() -> None:
    case = called().when(callback_done("pay", 7)).when(action_answer("pay", UNKNOWN))
    case = case.when(TimerFired(), after=MINUTE).then_calls("pay#2")

    case = case.when(action_answer("pay", ACCEPTED, attempt=2)).then_calls("ship#1")
    assert case.step("pay").output == 7


@pytest.mark.parametrize("lost", [UNKNOWN, NOT_SENT])
def test_an_early_callback_decides_where_the_last_reply_is_lost(lost: CallOutcome) -> None:
    case = all_done(given(define("book", "pay callback attempts=1", "ship")), "book")

    case.when(callback_done("pay", 7)).when(action_answer("pay", lost)).then(
        StepSucceeded(step="pay", attempt=1, output=7), StepCalled(step="ship", attempt=1)
    )
    case.when(callback_failed("pay", "declined")).when(action_answer("pay", lost)).then_calls(
        "undo book#1"
    )


def test_done_callback_decides_over_a_later_status_query_that_finds_nothing() -> None:
    """R6: the pivot is not called again, and a cancel comes too late."""
    case = given(define("pay pivot callback status attempts=3", "ship"))
    case = case.when(action_answer("pay", UNKNOWN)).when(callback_done("pay", 7))
    case = case.when(TimerFired(), after=MINUTE).then_calls("status pay#1")

    for asked in (case, case.when(Cancel())):
        asked.when(status_answer("pay", NOT_DONE)).then(
            StepSucceeded(step="pay", attempt=1, output=7), StepCalled(step="ship", attempt=1)
        )


def test_failed_callback_decides_over_a_later_status_query_that_finds_nothing() -> None:
    """R3: an earlier attempt was unknown, so the step is compensated."""
    case = given(define("pay callback status attempts=3", "ship"))
    case = case.when(action_answer("pay", UNKNOWN)).when(callback_failed("pay", "declined"))
    case = case.when(TimerFired(), after=MINUTE).then_calls("status pay#1")

    case = case.when(status_answer("pay", NOT_DONE)).then_calls("undo pay#1")
    assert case.events[0] == StepRejected(step="pay", attempt=1, error="declined")


def test_a_callback_while_the_step_backs_off_is_kept_too() -> None:
    case = called().when(action_answer("pay", UNKNOWN)).when(callback_done("pay", 7))
    case.then(CallbackReceived(step="pay", done=True, output=7)).then_calls()

    case = case.when(TimerFired(), after=MINUTE).when(action_answer("pay", ACCEPTED, attempt=2))
    case.then_calls("ship#1")


def test_a_rejection_after_a_callback_that_said_done_is_in_doubt() -> None:
    case = called().when(callback_done("pay")).when(action_answer("pay", REJECTED))

    case.then_calls("undo pay#1").then_status("compensating")


def test_the_first_of_two_early_callbacks_counts() -> None:
    case = called().when(callback_done("pay", 7)).when(callback_failed("pay", "no"))
    case.then(LateReplyIgnored(step="pay", what="failed by callback", error="no"))

    case.when(action_answer("pay", ACCEPTED)).then_calls("ship#1")


def test_a_reply_that_is_done_needs_no_callback() -> None:
    case = called().when(action_answer("pay", DONE)).then_calls("ship#1")

    case.when(callback_done("pay")).then(LateReplyIgnored(step="pay", what="completed by callback"))


@pytest.mark.parametrize(
    ("report", "ignored"),
    [
        (callback_done("pay"), LateReplyIgnored(step="pay", what="completed by callback")),
        (
            callback_failed("pay", "no"),
            LateReplyIgnored(step="pay", what="failed by callback", error="no"),
        ),
    ],
)
def test_a_repeated_or_contradicting_callback_is_recorded_and_changes_nothing(
    report: StepCallback, ignored: LateReplyIgnored
) -> None:
    """R6."""
    case = accepted().when(callback_done("pay", {"id": 7}))
    before = case.step("pay")

    case = case.when(report).then(ignored).then_calls()

    assert case.step("pay") == before


def test_step_without_a_callback_in_time_is_unknown() -> None:
    case = accepted()
    case.when(TimerFired(), after=LIMIT - MINUTE).then_nothing_happened()

    case = case.when(TimerFired(), after=LIMIT).then_calls("undo pay#1")
    assert case.events[0] == StepUnknown(step="pay", attempt=1, error="not completed within 15m")


def test_a_callback_after_its_time_is_late() -> None:
    """R6: the timeout was recorded first."""
    case = accepted().when(TimerFired(), after=LIMIT).when(callback_done("pay"))

    case.then(LateReplyIgnored(step="pay", what="completed by callback")).then_calls()
    all_undone(case, "pay", "book").then_status("compensated", pay="compensated")


def test_a_callback_that_is_recorded_before_the_timeout_wins() -> None:
    case = accepted().when(callback_done("pay"), after=LIMIT).then_calls("ship#1")

    case.when(TimerFired(), after=MINUTE).then_nothing_happened()


def test_accepted_step_is_compensated() -> None:
    case = accepted().when(ASKED)

    assert case.events[1:] == (
        StepUnknown(step="pay", attempt=1, error="accepted, but completion never reported"),
        CompensationCalled(step="pay", attempt=1),
    )
    case.when(callback_done("pay")).then(LateReplyIgnored(step="pay", what="completed by callback"))


def test_step_accepted_while_compensating_is_not_awaited() -> None:
    case = called().when(ASKED).then_calls()

    case.when(action_answer("pay", ACCEPTED)).then_calls("undo pay#1")


def test_a_deadline_does_not_wait_for_a_callback() -> None:
    definition = define("book", "pay callback", deadline="1m")
    case = all_done(given(definition), "book").when(action_answer("pay", ACCEPTED))

    case.when(TimerFired(), after=MINUTE).then_calls("undo pay#1")


def test_a_pivot_that_waits_for_its_callback_makes_the_deadline_wait() -> None:
    definition = define("book", "pay pivot callback", "ship", deadline="1m")
    case = all_done(given(definition), "book").when(action_answer("pay", ACCEPTED))
    case = case.when(TimerFired(), after=2 * MINUTE).then_nothing_happened()

    case.when(callback_failed("pay")).then_calls("undo book#1")
    case.when(callback_done("pay")).then_status("parked", pay="succeeded", ship="pending")


def test_an_unheard_pivot_parks() -> None:
    definition = define("book", "pay pivot callback", "ship")
    case = all_done(given(definition), "book").when(action_answer("pay", ACCEPTED))
    case = case.when(TimerFired(), after=LIMIT)

    assert case.events[1:] == (
        SagaParked(
            reason="pay has an unknown outcome: not completed within 15m",
            not_done=("pay", "ship"),
        ),
    )


@pytest.mark.parametrize("step", ["book", "nobody"])
def test_callback_of_a_step_without_callbacks_is_refused(step: str) -> None:
    accepted().when(callback_done(step)).then_refused(StepNotFound)


def test_a_callback_before_its_step_was_called_is_ignored() -> None:
    case = given(DEFINITION).when(callback_done("pay"))
    case.then(LateReplyIgnored(step="pay", what="completed by callback"))

    all_done(case, "book").then_calls("pay#1").when(action_answer("pay", REJECTED)).then_calls(
        "undo book#1"
    )
