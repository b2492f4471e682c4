"""A paused saga sends nothing, and its clocks stand still."""

from __future__ import annotations

from datetime import timedelta

import pytest
from saga_orchestrator.fsm.call_outcome import CallOutcome
from saga_orchestrator.fsm.decider.dry_run import plan_compensation
from saga_orchestrator.fsm.events import (
    CompensationRequested,
    CompensationSucceeded,
    SagaPaused,
    SagaResumed,
    StepAccepted,
    StepBackedOff,
    StepCalled,
    StepConfirmedNotExecuted,
    StepNotSent,
    StepRejected,
    StepSucceeded,
)
from saga_orchestrator.fsm.inputs import (
    Cancel,
    CircuitClosed,
    Pause,
    Resume,
    SendSignal,
    TimerFired,
)
from saga_orchestrator.fsm.instructions import CallParticipant, next_wakeup, pending_instructions
from saga_orchestrator.fsm.machines import SagaStatus
from saga_orchestrator.fsm.testing import (
    ACCEPTED,
    BUSY,
    DONE,
    NOON,
    NOT_DONE,
    NOT_SENT,
    REJECTED,
    UNKNOWN,
    Scenario,
    action_answer,
    call_name,
    callback_done,
    child_finished,
    circuit_open,
    compensation_answer,
    define,
    given,
    status_answer,
)
from saga_orchestrator.tests.unit.fsm.decider.scenarios import (
    ASKED,
    FIRST_WAIT,
    MINUTE,
    PIVOT,
    SECOND,
    TWO,
    all_done,
)

PAUSE = Pause(actor="anna", reason="the bank moves house")
RESUME = Resume(actor="anna", reason="moved")
HOUR = timedelta(hours=1)


def resumed(case: Scenario) -> Scenario:
    return case.when(RESUME, after=HOUR)


def test_pause_and_resume_are_recorded_with_actor_and_reason() -> None:
    case = given(TWO).when(PAUSE).then(SagaPaused(actor="anna", reason="the bank moves house"))
    assert case.state.paused_at == NOON

    case = case.when(RESUME).then(SagaResumed(actor="anna", reason="moved"))
    assert case.state.paused_at is None


def test_an_answer_in_a_pause_is_recorded_and_nothing_is_sent() -> None:
    case = given(TWO).when(PAUSE).when(action_answer("book", DONE))
    case.then(StepSucceeded(step="book", attempt=1)).then_calls()

    case.when(TimerFired(), after=HOUR).then_nothing_happened()
    resumed(case).then(
        SagaResumed(actor="anna", reason="moved"), StepCalled(step="pay", attempt=1)
    ).then_calls("pay#1")


def test_a_rejection_in_a_pause_turns_the_saga_back_after_it() -> None:
    case = all_done(given(TWO), "book").when(PAUSE).when(action_answer("pay", REJECTED))
    case.then(StepRejected(step="pay", attempt=1, error="409 no")).then_status("running")

    resumed(case).then_calls("undo book#1").then_status("compensating")


def test_the_way_back_can_be_paused_too() -> None:
    case = all_done(given(define("book", "pay", "ship")), "book", "pay")
    case = (
        case.when(action_answer("ship", REJECTED))
        .when(PAUSE)
        .when(compensation_answer("pay", DONE))
    )
    case.then(CompensationSucceeded(step="pay", attempt=1)).then_calls()

    resumed(case).then_calls("undo book#1")


def test_a_paused_saga_has_no_wake_up() -> None:
    case = given(define("book", deadline="10m")).when(action_answer("book", UNKNOWN)).when(PAUSE)

    assert next_wakeup(case.saga) is None
    case.when(TimerFired(), after=HOUR).then_nothing_happened()


def test_pause_postpones_all_times() -> None:
    definition = define("book after=", "rest sleep=2m after=", deadline="10m")
    case = (
        given(definition).when(action_answer("book", UNKNOWN), jitter=0.5).when(PAUSE, after=MINUTE)
    )
    case = resumed(case)

    assert case.state.deadline == NOON + HOUR + 10 * MINUTE
    assert case.step("rest").wait_deadline == NOON + HOUR + 2 * MINUTE
    assert case.step("rest").next_attempt_at == NOON + HOUR + 2 * MINUTE
    assert case.step("book").next_attempt_at == NOON + HOUR + FIRST_WAIT / 2


def test_a_put_off_start_is_put_off_further() -> None:
    case = given(TWO, start_at=NOON + MINUTE).when(PAUSE)
    case.when(TimerFired(), after=HOUR).then_nothing_happened().then_status("pending")

    case = resumed(case)
    assert next_wakeup(case.saga) == NOON + HOUR + MINUTE
    case.when(TimerFired(), after=MINUTE).then_calls("book#1")


def test_the_deadline_does_not_pass_in_a_pause() -> None:
    case = given(define("book", "pay", deadline="1m")).when(PAUSE)
    case = resumed(case.when(action_answer("book", DONE), after=MINUTE))

    case.then_calls("pay#1")


@pytest.mark.parametrize("outcome", [BUSY, NOT_SENT, UNKNOWN])
def test_a_wait_that_begins_in_a_pause_begins_with_its_end(outcome: CallOutcome) -> None:
    case = given(TWO).when(PAUSE).when(action_answer("book", outcome), after=HOUR, jitter=0.5)
    assert isinstance(case.events[0], StepBackedOff)

    case = case.when(RESUME).then_calls()
    wait = SECOND if outcome is BUSY else FIRST_WAIT / 2
    assert case.step("book").next_attempt_at == case.now + wait


def test_step_accepted_during_a_pause_has_its_whole_time_after_it() -> None:
    case = (
        given(define("book callback")).when(PAUSE).when(action_answer("book", ACCEPTED), after=HOUR)
    )
    assert case.events == (StepAccepted(step="book", attempt=1, until=NOON + 15 * MINUTE),)

    case = case.when(RESUME)
    assert case.step("book").wait_deadline == case.now + 15 * MINUTE


def test_action_that_was_not_executed_is_called_after_the_pause() -> None:
    case = given(define("book status")).when(action_answer("book", UNKNOWN))
    case = case.when(TimerFired(), after=MINUTE).then_calls("status book#1").when(PAUSE)
    case = case.when(status_answer("book", NOT_DONE), after=HOUR)
    case.then(
        StepConfirmedNotExecuted(
            step="book", attempt=1, error="the participant does not know the call"
        )
    ).then_calls()

    case.when(RESUME).when(TimerFired()).then_calls("book#2")


def test_callbacks_and_signals_are_recorded_in_a_pause() -> None:
    case = given(define("pay callback", "approve signal=go"))
    case = case.when(action_answer("pay", ACCEPTED)).when(PAUSE).when(callback_done("pay"))
    case = case.then_calls().when(SendSignal(name="go")).then_calls()

    resumed(case).then_status("completed", pay="succeeded", approve="succeeded")


def test_withheld_call_is_not_sent_during_a_pause() -> None:
    case = given(TWO).when(action_answer("book", circuit_open(MINUTE))).when(PAUSE)

    case.when(CircuitClosed("book-service")).then_nothing_happened()


def test_attempts_that_run_out_in_a_pause_are_judged_after_it() -> None:
    case = given(define("book attempts=1")).when(PAUSE).when(action_answer("book", NOT_SENT))
    case.then(StepNotSent(step="book", attempt=1, error="refused")).then_status("running")

    resumed(case).then_status("compensated")


@pytest.mark.parametrize("verb", [ASKED, Cancel()])
def test_a_paused_saga_is_compensated_at_once(verb: object) -> None:
    case = all_done(given(TWO), "book").when(action_answer("pay", UNKNOWN)).when(PAUSE)
    case = case.when(verb).then_calls("undo pay#1")  # type: ignore[arg-type]

    assert case.state.paused_at is None


def test_a_request_while_the_pivot_is_in_doubt_ends_the_pause() -> None:
    case = all_done(given(PIVOT), "book").when(PAUSE).when(ASKED)
    case.then(CompensationRequested(actor="anna", reason="a mistake")).then_calls()

    assert case.state.paused_at is None
    case.when(action_answer("pay", REJECTED)).then_calls("undo book#1")


def test_a_pause_that_a_request_ends_puts_all_times_off_as_well() -> None:
    case = given(define("pay pivot callback")).when(action_answer("pay", ACCEPTED)).when(PAUSE)
    case = case.when(ASKED, after=HOUR).when(TimerFired()).then_nothing_happened()

    assert case.step("pay").wait_deadline == NOON + HOUR + 15 * MINUTE


def test_pauses_add_up() -> None:
    case = resumed(given(define("rest sleep=10m")).when(PAUSE))
    case = resumed(case.when(PAUSE, after=MINUTE))

    assert case.step("rest").wait_deadline == NOON + 2 * HOUR + 10 * MINUTE


PAUSED_BY_PARENT = Pause(by_parent=True)
RESUMED_BY_PARENT = Resume(by_parent=True)


@pytest.mark.parametrize("first", [PAUSE, PAUSED_BY_PARENT])
@pytest.mark.parametrize("lifted", [RESUME, RESUMED_BY_PARENT])
def test_a_pause_of_its_own_outlasts_that_of_its_parent(first: Pause, lifted: Resume) -> None:
    second = PAUSE if first is PAUSED_BY_PARENT else PAUSED_BY_PARENT
    case = given(TWO).when(first).when(second).when(action_answer("book", DONE)).then_calls()

    case = case.when(lifted, after=HOUR)
    paused = lifted is RESUMED_BY_PARENT
    assert (case.state.paused_at is not None) == paused
    case.then_calls(*[] if paused else ["pay#1"])


def test_a_pause_that_is_asked_for_again_changes_nothing() -> None:
    given(TWO).when(PAUSE).when(PAUSE).then_nothing_happened()
    given(TWO).when(PAUSED_BY_PARENT).when(PAUSED_BY_PARENT).then_nothing_happened()
    given(TWO).when(PAUSE).when(RESUMED_BY_PARENT).then_nothing_happened()


def test_a_cancel_lets_a_paused_undo_go_on_at_once_and_a_second_request_does_not() -> None:
    case = all_done(given(define("book", "pay", "ship")), "book", "pay").when(ASKED).when(PAUSE)
    case = case.when(action_answer("ship", REJECTED)).then_calls()

    case.when(ASKED).then_nothing_happened()
    case = case.when(Cancel(actor="anna", reason="moved"), after=HOUR)
    assert case.events[0] == SagaResumed(actor="anna", reason="moved")
    case.then_calls("undo pay#1")


@pytest.mark.parametrize("back", [True, False])
def test_the_dry_run_of_a_paused_saga_is_that_without_the_pause(back: bool) -> None:
    case = all_done(given(define("book", "pay", "ship")), "book", "pay")
    case = case.when(ASKED) if back else case
    unpaused = plan_compensation(case.saga, now=NOON)

    assert plan_compensation(case.when(PAUSE).saga, now=NOON) == unpaused
    assert plan_compensation(case.when(PAUSED_BY_PARENT).when(PAUSE).saga, now=NOON) == unpaused
    assert [call.step for call in unpaused.calls if isinstance(call, CallParticipant)] == [
        "ship",
        "pay",
        "book",
    ]


FAMILY = define("hotel child=room", "pay")


def test_a_pause_and_its_end_reach_the_child_under_way() -> None:
    case = given(FAMILY).when(PAUSE).then_calls("pause hotel")
    assert [call_name(instruction) for instruction in pending_instructions(case.saga)] == [
        "pause hotel"
    ]

    resumed(case).then_calls("start hotel")


def test_pause_reaches_a_child_that_is_compensated() -> None:
    case = given(FAMILY).when(ASKED).when(PAUSE).then_calls("pause hotel")

    resumed(case).then_calls("undo hotel")
    case.when(Cancel()).then_calls("undo hotel")


def test_a_child_that_rests_is_left_alone() -> None:
    case = given(FAMILY).when(child_finished("hotel", SagaStatus.COMPLETED)).when(PAUSE)

    case.then_calls()
