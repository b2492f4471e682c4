"""`completion: callback`: a step that was only accepted is completed by whoever accepted it."""

from __future__ import annotations

import pytest
from saga_orchestrator.fsm.command import wake_up
from saga_orchestrator.fsm.errors import NoSuchStep
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
from saga_orchestrator.fsm.happening import StepReported, TimePassed
from saga_orchestrator.fsm.outcome import Verdict
from saga_orchestrator.fsm.testing import (
    ACCEPTED,
    DONE,
    NOON,
    NOT_SENT,
    REJECTED,
    UNKNOWN,
    Case,
    answered,
    completed,
    define,
    failed,
    given,
)
from saga_orchestrator.tests.unit.fsm.decide.cases import ASKED, MINUTE, all_done, all_undone

DEFINITION = define("book", "pay callback", "ship")
LIMIT = 15 * MINUTE


def called() -> Case:
    return all_done(given(DEFINITION), "book").then_calls("pay#1")


def accepted() -> Case:
    return called().when(answered("pay", ACCEPTED))


def test_an_accepted_step_waits_and_has_a_wake_up() -> None:
    case = accepted().then(StepAccepted(step="pay", attempt=1, until=NOON + LIMIT)).then_calls()

    assert case.step("pay").status == "waiting"
    assert wake_up(case.saga) == NOON + LIMIT


def test_its_call_says_that_it_awaits_a_callback() -> None:
    assert [one.awaits_callback for one in called().calls] == [True]
    assert [one.awaits_callback for one in given(DEFINITION).calls] == [False]


def test_a_callback_completes_it() -> None:
    accepted().when(completed("pay", {"id": 7})).then(
        StepSucceeded(step="pay", attempt=1, output={"id": 7}), StepCalled(step="ship", attempt=1)
    )


def test_a_callback_fails_it() -> None:
    case = accepted().when(failed("pay", "card declined")).then_calls("undo book#1")

    assert case.events[0] == StepRejected(step="pay", attempt=1, error="card declined")


def test_a_callback_that_fails_what_is_in_doubt_leaves_it_unknown() -> None:
    case = called().when(answered("pay", UNKNOWN)).when(TimePassed(), after=MINUTE)
    case = case.when(answered("pay", ACCEPTED, attempt=2)).when(failed("pay"))

    case.then_calls("undo pay#1")


def test_a_callback_before_the_reply_is_kept_and_counts_once_accepted() -> None:
    case = called().when(completed("pay", {"id": 7}))
    case.then(CallbackReceived(step="pay", done=True, output={"id": 7})).then_calls()

    case.when(answered("pay", ACCEPTED)).then(
        StepAccepted(step="pay", attempt=1, until=NOON + LIMIT),
        StepSucceeded(step="pay", attempt=1, output={"id": 7}),
        StepCalled(step="ship", attempt=1),
    )


def test_an_early_callback_that_fails_it_counts_as_well() -> None:
    case = called().when(failed("pay", "card declined"))
    case.then(CallbackReceived(step="pay", done=False, error="card declined"))

    case = case.when(answered("pay", ACCEPTED)).then_calls("undo book#1")
    assert case.events[1] == StepRejected(step="pay", attempt=1, error="card declined")


def test_an_early_callback_is_kept_over_a_lost_reply() -> None:
    case = called().when(completed("pay", 7)).when(answered("pay", UNKNOWN))
    case = case.when(TimePassed(), after=MINUTE).then_calls("pay#2")

    case = case.when(answered("pay", ACCEPTED, attempt=2)).then_calls("ship#1")
    assert case.step("pay").output == 7


@pytest.mark.parametrize("lost", [UNKNOWN, NOT_SENT])
def test_an_early_callback_decides_where_the_last_reply_is_lost(lost: Verdict) -> None:
    case = all_done(given(define("book", "pay callback attempts=1", "ship")), "book")

    case.when(completed("pay", 7)).when(answered("pay", lost)).then(
        StepSucceeded(step="pay", attempt=1, output=7), StepCalled(step="ship", attempt=1)
    )
    case.when(failed("pay", "declined")).when(answered("pay", lost)).then_calls("undo book#1")


def test_a_callback_while_the_step_backs_off_is_kept_too() -> None:
    case = called().when(answered("pay", UNKNOWN)).when(completed("pay", 7))
    case.then(CallbackReceived(step="pay", done=True, output=7)).then_calls()

    case = case.when(TimePassed(), after=MINUTE).when(answered("pay", ACCEPTED, attempt=2))
    case.then_calls("ship#1")


def test_a_rejection_after_a_callback_that_said_done_is_in_doubt() -> None:
    case = called().when(completed("pay")).when(answered("pay", REJECTED))

    case.then_calls("undo pay#1").then_status("compensating")


def test_the_first_of_two_early_callbacks_counts() -> None:
    case = called().when(completed("pay", 7)).when(failed("pay", "no"))
    case.then(LateReplyIgnored(step="pay", what="failed by callback", error="no"))

    case.when(answered("pay", ACCEPTED)).then_calls("ship#1")


def test_a_reply_that_is_done_needs_no_callback() -> None:
    case = called().when(answered("pay", DONE)).then_calls("ship#1")

    case.when(completed("pay")).then(LateReplyIgnored(step="pay", what="completed by callback"))


@pytest.mark.parametrize(
    ("report", "ignored"),
    [
        (completed("pay"), LateReplyIgnored(step="pay", what="completed by callback")),
        (
            failed("pay", "no"),
            LateReplyIgnored(step="pay", what="failed by callback", error="no"),
        ),
    ],
)
def test_a_repeated_or_contradicting_callback_is_recorded_and_changes_nothing(
    report: StepReported, ignored: LateReplyIgnored
) -> None:
    """R6."""
    case = accepted().when(completed("pay", {"id": 7}))
    before = case.step("pay")

    case = case.when(report).then(ignored).then_calls()

    assert case.step("pay") == before


def test_nobody_in_time_makes_it_unknown() -> None:
    case = accepted()
    case.when(TimePassed(), after=LIMIT - MINUTE).then()

    case = case.when(TimePassed(), after=LIMIT).then_calls("undo pay#1")
    assert case.events[0] == StepUnknown(
        step="pay", attempt=1, error="nobody said within 15m that it is done"
    )


def test_a_callback_after_its_time_is_late() -> None:
    """R6: the timeout was recorded first."""
    case = accepted().when(TimePassed(), after=LIMIT).when(completed("pay"))

    case.then(LateReplyIgnored(step="pay", what="completed by callback")).then_calls()
    all_undone(case, "pay", "book").then_status("compensated", pay="compensated")


def test_a_callback_that_is_recorded_before_the_timeout_wins() -> None:
    case = accepted().when(completed("pay"), after=LIMIT).then_calls("ship#1")

    case.when(TimePassed(), after=MINUTE).then()


def test_what_was_accepted_is_undone_when_the_saga_turns_back() -> None:
    case = accepted().when(ASKED)

    assert case.events[1:] == (
        StepUnknown(step="pay", attempt=1, error="accepted, and not heard of again"),
        CompensationCalled(step="pay", attempt=1),
    )
    case.when(completed("pay")).then(LateReplyIgnored(step="pay", what="completed by callback"))


def test_what_is_accepted_after_the_turn_is_not_waited_for() -> None:
    case = called().when(ASKED).then_calls()

    case.when(answered("pay", ACCEPTED)).then_calls("undo pay#1")


def test_a_deadline_does_not_wait_for_a_callback() -> None:
    definition = define("book", "pay callback", deadline="1m")
    case = all_done(given(definition), "book").when(answered("pay", ACCEPTED))

    case.when(TimePassed(), after=MINUTE).then_calls("undo pay#1")


def test_a_pivot_that_waits_for_its_callback_makes_the_deadline_wait() -> None:
    definition = define("book", "pay pivot callback", "ship", deadline="1m")
    case = all_done(given(definition), "book").when(answered("pay", ACCEPTED))
    case = case.when(TimePassed(), after=2 * MINUTE).then()

    case.when(failed("pay")).then_calls("undo book#1")
    case.when(completed("pay")).then_status("parked", pay="succeeded", ship="pending")


def test_an_unheard_pivot_parks() -> None:
    definition = define("book", "pay pivot callback", "ship")
    case = all_done(given(definition), "book").when(answered("pay", ACCEPTED))
    case = case.when(TimePassed(), after=LIMIT)

    assert case.events[1:] == (
        SagaParked(
            reason="pay has an unknown outcome: nobody said within 15m that it is done",
            not_done=("pay", "ship"),
        ),
    )


@pytest.mark.parametrize("step", ["book", "nobody"])
def test_a_step_without_a_callback_is_nobody_to_report(step: str) -> None:
    accepted().when(completed(step)).then_refused(NoSuchStep)


def test_a_callback_before_its_step_was_called_is_ignored() -> None:
    case = given(DEFINITION).when(completed("pay"))
    case.then(LateReplyIgnored(step="pay", what="completed by callback"))

    all_done(case, "book").then_calls("pay#1").when(answered("pay", REJECTED)).then_calls(
        "undo book#1"
    )
