"""Signals complete the steps that wait for them, and are buffered until then."""

from __future__ import annotations

from datetime import timedelta

import pytest
from saga_orchestrator.fsm.decider.operator_commands import MAX_BUFFERED_SIGNALS
from saga_orchestrator.fsm.errors import NotAllowed, TooManySignals, UnknownSignal
from saga_orchestrator.fsm.events import (
    SagaCompleted,
    SagaParked,
    SagaUnparked,
    SignalReceived,
    StepCalled,
    StepRejected,
    StepSucceeded,
    WaitStarted,
)
from saga_orchestrator.fsm.inputs import Retry, SendSignal, TimerFired
from saga_orchestrator.fsm.instructions import next_wakeup
from saga_orchestrator.fsm.testing import (
    NOON,
    NOT_SENT,
    REJECTED,
    UNKNOWN,
    Scenario,
    action_answer,
    define,
    document,
    given,
)
from saga_orchestrator.tests.unit.fsm.decider.scenarios import ASKED, MINUTE, all_done, mapped

DAY = timedelta(days=1)
APPROVED = SendSignal(name="approval", body={"by": "anna"}, actor="anna")
WAITS = define("book", "approve signal=approval", "pay")
PARKS = define("book", "approve signal=approval or_park", "pay")
TWICE = define("first signal=approval", "second signal=approval")


def waiting(case: Scenario) -> Scenario:
    return all_done(case, "book").then_status("running", approve="waiting")


def test_a_wait_is_recorded_with_its_end() -> None:
    case = waiting(given(WAITS))

    assert case.events[1:] == (WaitStarted(step="approve", until=NOON + DAY, signal="approval"),)
    assert next_wakeup(case.saga) == NOON + DAY


def test_a_signal_is_the_output_of_the_step_that_waits_for_it() -> None:
    waiting(given(WAITS)).when(APPROVED).then(
        SignalReceived(name="approval", body={"by": "anna"}, actor="anna"),
        StepSucceeded(step="approve", attempt=0, output={"by": "anna"}, signal="approval"),
        StepCalled(step="pay", attempt=1),
    )


def test_a_signal_of_another_name_is_kept_and_changes_nothing() -> None:
    definition = define("book", "approve signal=approval", "paid signal=payment", "pay")
    case = waiting(given(definition)).when(SendSignal(name="payment"))

    case.then(SignalReceived(name="payment")).then_calls()
    case.when(APPROVED).then_calls("pay#1")


@pytest.mark.parametrize("case", [given(WAITS), given(define("book"))])
def test_a_signal_that_no_step_waits_for_is_refused_with_those_that_are_known(
    case: Scenario,
) -> None:
    case = case.when(SendSignal(name="aproval"))

    case.then_refused(UnknownSignal, "waits for 'aproval'; it waits for")
    assert isinstance(case.refusal, UnknownSignal)
    assert set(case.refusal.known) == case.latest_saga.definition.signals


def test_an_early_signal_is_kept_until_it_is_waited_for() -> None:
    case = given(WAITS).when(APPROVED).then_calls()

    all_done(case, "book").then_calls("pay#1")


def test_a_signal_before_the_start_is_kept_too() -> None:
    case = given(WAITS, start_at=NOON + MINUTE).when(APPROVED)
    case = case.when(TimerFired(), after=MINUTE)

    all_done(case, "book").then_calls("pay#1")


def test_an_early_signal_is_used_once_and_the_first_comes_first() -> None:
    steps = ("book", "first signal=approval", "second signal=approval", "last signal=payment")
    case = given(define(*steps))
    case = case.when(SendSignal(name="approval", body=1)).when(SendSignal(name="payment"))

    case = all_done(case, "book").then_status("running", first="succeeded", second="waiting")
    assert [signal.name for signal in case.state.signals] == ["payment"]
    case = case.when(SendSignal(name="approval", body=2)).then_status("completed")
    assert [case.step(step).output for step in ("first", "second")] == [1, 2]


def test_a_signal_serves_one_of_two_that_wait() -> None:
    case = given(define("first signal=approval after=", "second signal=approval after="))

    case.when(APPROVED).then_status("running", first="succeeded", second="waiting")


def test_a_signal_with_the_same_key_is_the_same_signal() -> None:
    keyed = SendSignal(name="approval", key="4711")
    case = given(TWICE).when(keyed).then_status("running", first="succeeded", second="waiting")

    case.when(keyed).then_nothing_happened()
    case.when(SendSignal(name="approval", key="4712")).then_status("completed")


def test_keys_are_those_of_a_name() -> None:
    case = given(define("first signal=approval", "second signal=payment"))
    case = case.when(SendSignal(name="approval", key="4711"))

    case.when(SendSignal(name="payment", key="4711")).then_status("completed")


def test_each_signal_without_a_key_counts() -> None:
    given(TWICE).when(APPROVED).when(APPROVED).then_status("completed")


def test_buffered_signals_of_one_name_have_a_limit() -> None:
    case = waiting(given(define("book", "approve signal=approval", "paid signal=payment", "pay")))
    for number in range(MAX_BUFFERED_SIGNALS):
        case = case.when(SendSignal(name="payment", key=str(number)))
    assert len(case.state.signals) == MAX_BUFFERED_SIGNALS

    case.when(SendSignal(name="payment", key="0")).then_nothing_happened()
    case.when(SendSignal(name="payment")).then_refused(TooManySignals, "100 signals payment")
    case.when(APPROVED).then_calls("pay#1")


@pytest.mark.parametrize("end", [action_answer("book", REJECTED), None])
def test_saga_at_rest_refuses_signals(end: object) -> None:
    case = given(define("book", "approve signal=approval"))
    case = case.when(end) if end else waiting(case).when(APPROVED)  # type: ignore[arg-type]

    case.when(APPROVED).then_refused(NotAllowed, f"it is {case.state.status}")


def test_a_signal_on_the_way_back_is_kept_and_changes_nothing() -> None:
    case = waiting(given(WAITS)).when(ASKED).then_calls("undo book#1")

    case.when(APPROVED).then(SignalReceived(name="approval", body={"by": "anna"}, actor="anna"))


def test_timeout_of_a_signal_rejects_the_step() -> None:
    case = waiting(given(WAITS))
    case.when(TimerFired(), after=DAY - MINUTE).then_nothing_happened()

    case = case.when(TimerFired(), after=DAY).then_calls("undo book#1")
    assert case.events[0] == StepRejected(
        step="approve", attempt=0, error="signal approval not received within 1d"
    )


def test_timeout_of_a_signal_parks_if_declared() -> None:
    waiting(given(PARKS)).when(TimerFired(), after=DAY).then(
        SagaParked(
            reason="approve: signal approval not received within 1d", not_done=("approve", "pay")
        )
    ).then_status("parked", approve="waiting")


def test_a_retry_waits_as_long_again() -> None:
    case = waiting(given(PARKS)).when(TimerFired(), after=DAY).when(Retry(), after=DAY)

    case.then(
        SagaUnparked(back=False),
        WaitStarted(step="approve", until=NOON + 3 * DAY, signal="approval"),
    )
    case.when(APPROVED).then_calls("pay#1")


def test_a_retry_of_a_rejected_wait_after_the_pivot_waits_again() -> None:
    definition = define("pay pivot", "approve signal=approval", "ship")
    case = all_done(given(definition), "pay").when(TimerFired(), after=DAY).then_status("parked")

    case = case.when(Retry()).then_status("running", approve="waiting")
    assert case.step("approve").wait_deadline == case.now + DAY
    case.when(APPROVED).then_calls("ship#1")


def test_the_retry_of_another_step_does_not_prolong_a_wait() -> None:
    case = given(define("approve signal=approval after=", "book after="))
    case = case.when(action_answer("book", NOT_SENT)).when(Retry(), after=MINUTE)

    case.then_calls("book#2")
    assert case.step("approve").wait_deadline == NOON + DAY


def test_a_wait_that_ended_while_the_saga_was_parked_begins_again() -> None:
    case = given(define("pay pivot", "ship after=pay attempts=1", "approve signal=go after=pay"))
    case = all_done(case, "pay").when(action_answer("ship", UNKNOWN)).then_status("parked")
    case = case.when(Retry(), after=2 * DAY).then_calls("ship#2")

    assert case.step("approve").wait_deadline == NOON + 3 * DAY


def test_signal_that_a_pivot_waits_for_counts_though_another_step_has_failed() -> None:
    case = given(define("book after=", "approve pivot signal=approval after="))
    case = case.when(action_answer("book", REJECTED)).then_status("running")

    case = case.when(APPROVED)

    case.then_status("parked", book="rejected", approve="succeeded")


def test_a_deadline_comes_before_the_end_of_a_wait() -> None:
    definition = define("book", "approve signal=approval", "pay", deadline="1m")

    waiting(given(definition)).when(TimerFired(), after=MINUTE).then_calls("undo book#1")


def test_a_pivot_may_be_a_wait_and_makes_the_deadline_wait() -> None:
    definition = mapped(
        dict(document("book", "approve signal=approval", deadline="1m")), 1, pivot=True
    )
    case = waiting(given(definition)).when(TimerFired(), after=2 * MINUTE).then_nothing_happened()

    case.when(APPROVED).then(
        SignalReceived(name="approval", body={"by": "anna"}, actor="anna"),
        StepSucceeded(step="approve", attempt=0, output={"by": "anna"}, signal="approval"),
        SagaCompleted(),
    )
