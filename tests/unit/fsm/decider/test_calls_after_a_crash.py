"""R2: a forward call whose reply was lost by a crash is not resent by a compensating saga."""

from __future__ import annotations

from datetime import timedelta

import pytest
from saga_orchestrator.fsm.call_outcome import CallOutcome, Outcome
from saga_orchestrator.fsm.events import (
    StatusQueried,
    StepBackedOff,
    StepRejected,
    StepSucceeded,
    StepUnknown,
)
from saga_orchestrator.fsm.inputs import Cancel, TimerFired
from saga_orchestrator.fsm.instructions import next_wakeup, pending_instructions, recovered
from saga_orchestrator.fsm.saga import Saga
from saga_orchestrator.fsm.state import as_recorded
from saga_orchestrator.fsm.testing import (
    BUSY,
    DONE,
    NOON,
    NOT_DONE,
    REJECTED,
    THROTTLED,
    UNKNOWN,
    Scenario,
    action_answer,
    call_name,
    callback_done,
    callback_failed,
    define,
    given,
    status_answer,
)
from saga_orchestrator.tests.unit.fsm.decider.scenarios import MINUTE, SECOND

CUT_OFF = "the service restarted before the reply arrived"
TIMEOUT = 10 * SECOND
CANCEL = Cancel(reason="enough")


def restarted(case: Scenario, after: timedelta = SECOND) -> Scenario:
    """Return the scenario after another process has read the log."""
    now = case.now + after
    return Scenario(now=now, latest_saga=recovered(case.saga, now), events=())


def cancelled(step: str = "pay", *, deadline: str | None = None) -> Scenario:
    """Return a cancelled saga whose `pay` is in flight."""
    return (
        given(define("book", step, deadline=deadline))
        .when(action_answer("book", DONE))
        .when(CANCEL)
    )


def sent_again(case: Scenario) -> list[str]:
    return [call_name(instruction) for instruction in pending_instructions(case.saga)]


def test_unanswered_call_is_unknown_after_its_timeout() -> None:
    case = restarted(cancelled())

    assert sent_again(case) == []
    assert next_wakeup(case.saga) == NOON + TIMEOUT
    case.when(TimerFired()).then_nothing_happened()
    case.when(TimerFired(), after=9 * SECOND).then_calls("undo pay#1")
    case = case.when(TimerFired(), after=MINUTE)
    assert case.events[0] == StepUnknown(step="pay", attempt=1, error=CUT_OFF)


def test_timeout_of_an_unanswered_call_counts_from_its_intent_over_all_crashes() -> None:
    case = restarted(restarted(cancelled(), 4 * SECOND), 4 * SECOND)

    assert next_wakeup(case.saga) == NOON + TIMEOUT


def test_timeout_of_a_call_that_was_resent_counts_from_the_cancel() -> None:
    case = given(define("book", "pay")).when(action_answer("book", DONE))
    repeated = restarted(case, 2 * SECOND)
    assert sent_again(repeated) == ["pay#1"]
    case = restarted(repeated.when(CANCEL, after=6 * SECOND))

    assert next_wakeup(case.saga) == NOON + 8 * SECOND + TIMEOUT
    case.when(TimerFired(), after=8 * SECOND).then_nothing_happened()


def test_timeout_of_a_call_that_was_resent_counts_from_the_deadline() -> None:
    case = given(define("book", "pay", deadline="8s")).when(action_answer("book", DONE))
    repeated = restarted(case, 2 * SECOND)
    assert sent_again(repeated) == ["pay#1"]
    case = restarted(repeated, 7 * SECOND).when(TimerFired()).then_status("compensating")

    assert next_wakeup(case.saga) == NOON + 8 * SECOND + TIMEOUT


def test_status_of_an_unanswered_call_is_queried_if_declared() -> None:
    case = restarted(cancelled("pay status"))
    assert sent_again(case) == []

    case = case.when(TimerFired(), after=TIMEOUT).then(
        StepBackedOff(
            step="pay",
            attempt=1,
            outcome=Outcome.UNKNOWN,
            error=CUT_OFF,
            until=NOON + 11 * SECOND,
            resent=True,
        ),
        StatusQueried(step="pay", attempt=1),
    )

    case.when(status_answer("pay", DONE)).then_calls("undo pay#1")
    case.when(status_answer("pay", NOT_DONE)).then_calls("undo book#1").then_status(
        "compensating", pay="not_sent"
    )
    case.when(status_answer("pay", BUSY)).then_calls("undo pay#1")
    case.when(status_answer("pay", UNKNOWN)).then_calls("undo pay#1")
    assert sent_again(restarted(case)) == ["status pay#1"]


@pytest.mark.parametrize(
    ("report", "end"),
    [
        (callback_done("pay"), StepSucceeded(step="pay", attempt=1, output_is_null=True)),
        (callback_failed("pay"), StepRejected(step="pay", attempt=1, error="sold out")),
    ],
)
def test_a_callback_that_has_come_decides(
    report: object, end: StepSucceeded | StepRejected
) -> None:
    case = restarted(cancelled("pay callback status")).when(report)  # type: ignore[arg-type]

    assert case.when(TimerFired(), after=TIMEOUT).events[0] == end


def test_uncertain_pivot_of_a_cancelled_saga_parks_without_a_status_endpoint() -> None:
    case = restarted(cancelled("pay pivot")).when(TimerFired(), after=TIMEOUT)

    case.then_calls().then_status("parked", pay="unknown")


@pytest.mark.parametrize(
    ("said", "status"), [(DONE, "completed"), (NOT_DONE, "compensating"), (UNKNOWN, "running")]
)
def test_uncertain_pivot_of_a_cancelled_saga_is_queried(said: CallOutcome, status: str) -> None:
    case = restarted(cancelled("pay pivot status")).when(TimerFired(), after=TIMEOUT)

    case = case.then_calls("status pay#1").when(status_answer("pay", said)).then_status(status)

    if status == "running":
        case.when(TimerFired(), after=MINUTE).then_calls("status pay#2")


def test_a_call_beside_one_that_failed_is_not_repeated_either() -> None:
    case = given(define("book", "pay after=book", "mail after=book")).when(
        action_answer("book", DONE)
    )
    case = restarted(case.when(action_answer("mail", REJECTED)).then_status("compensating"))

    assert sent_again(case) == []


def test_call_is_not_resent_when_the_deadline_has_passed_meanwhile() -> None:
    case = given(define("book", "pay", deadline="1m")).when(action_answer("book", DONE))

    assert sent_again(restarted(case)) == ["pay#1"]
    assert sent_again(restarted(case, MINUTE)) == []


def test_a_pivot_is_repeated_after_the_deadline_which_waits_for_it() -> None:
    case = given(define("book", "pay pivot", deadline="1m")).when(action_answer("book", DONE))

    assert sent_again(restarted(case, MINUTE)) == ["pay#1"]


def test_call_of_a_running_saga_is_resent() -> None:
    assert sent_again(restarted(given(define("book", "pay")))) == ["book#1"]


def test_earlier_request_holds_no_call_back_after_the_pivot() -> None:
    definition = define("book", "pay pivot", "ship")
    case = (
        given(definition)
        .when(action_answer("book", DONE))
        .when(CANCEL)
        .when(action_answer("pay", DONE))
    )

    assert sent_again(restarted(case)) == ["ship#1"]


def test_a_compensation_is_repeated() -> None:
    case = (
        given(define("book", "pay"))
        .when(action_answer("book", DONE))
        .when(action_answer("pay", REJECTED))
    )

    assert sent_again(restarted(case)) == ["undo book#1"]


def test_timeout_of_a_repetition_without_an_intent_counts_from_now() -> None:
    """The log does not have the time of the last repetition."""
    case = given(define("book", "pay", deadline="9m")).when(action_answer("book", DONE))
    for _ in range(3):
        case = case.when(action_answer("pay", THROTTLED)).when(TimerFired(), after=MINUTE)
    saga = Saga(case.saga.definition, as_recorded(case.state))
    assert saga.status_of("pay") == "calling"

    crashed = restarted(Scenario(now=case.now, latest_saga=saga, events=()), 9 * MINUTE)

    assert sent_again(crashed) == []
    turned = crashed.when(TimerFired()).then_status("compensating", pay="calling")
    assert next_wakeup(turned.saga) == crashed.now + TIMEOUT
    turned.when(TimerFired(), after=TIMEOUT).then_calls("undo pay#1")
