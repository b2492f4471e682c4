"""Scenarios say what was recorded and sent, and show what was not expected."""

from __future__ import annotations

from datetime import timedelta

import pytest
from saga_orchestrator.fsm.errors import CorruptStream, NotCompensatable
from saga_orchestrator.fsm.events import SagaCompleted, StepCalled, StepSucceeded
from saga_orchestrator.fsm.inputs import Compensate, TimerFired
from saga_orchestrator.fsm.testing import (
    BUSY,
    DONE,
    NOON,
    UNKNOWN,
    action_answer,
    compensation_answer,
    define,
    given,
)
from saga_orchestrator.tests.support.order_definition import order_definition

TWO = define("book", "pay pivot")
CALLED = StepCalled(step="book", attempt=1)
DONE_AND_CALLED = (
    StepSucceeded(step="book", attempt=1),
    StepCalled(step="pay", attempt=1),
)


def test_scenario_asserts_events_calls_and_statuses() -> None:
    scenario = given(TWO).when(action_answer("book", DONE))

    assert scenario.then(*DONE_AND_CALLED).then_calls("pay#1") is scenario
    assert scenario.then_status("running", book="succeeded", pay="calling") is scenario


@pytest.mark.parametrize("events", [(CALLED,), DONE_AND_CALLED[::-1], DONE_AND_CALLED[:1]])
def test_unexpected_events_are_shown(events: tuple[StepCalled, ...]) -> None:
    scenario = given(TWO).when(action_answer("book", DONE))

    with pytest.raises(AssertionError, match=r"expected .*\n.*got .*StepSucceeded"):
        scenario.then(*events)


def test_then_without_events_is_an_error() -> None:
    with pytest.raises(TypeError, match="event"):
        given(TWO).then()  # type: ignore[call-arg]


def test_assertion_that_nothing_happened_holds_without_event_and_call() -> None:
    scenario = given(TWO).when(action_answer("pay", DONE))

    assert scenario.then_nothing_happened() is scenario
    with pytest.raises(AssertionError, match=r"expected \(\)\n.*got .*StepSucceeded"):
        given(TWO).when(action_answer("book", DONE)).then_nothing_happened()


def test_call_without_an_event_is_something_that_happened() -> None:
    repeated = given(define("book")).when(action_answer("book", DONE)).when(Compensate())
    for _ in range(3):
        busy = repeated.when(compensation_answer("book", BUSY))
        repeated = busy.when(TimerFired(), after=timedelta(minutes=1))

    repeated.then_no_events().then_calls("undo book#1")
    with pytest.raises(AssertionError, match="undo book#1"):
        repeated.then_nothing_happened()


def test_unexpected_calls_are_shown() -> None:
    with pytest.raises(AssertionError, match=r"book#2.*\n.*book#1"):
        given(TWO).then_calls("book#2")


def test_instructions_to_child_sagas_are_among_the_calls() -> None:
    scenario = given(define("book after=", "hotel child=room after="))

    scenario.then_calls("book#1", "start hotel")
    scenario.when(Compensate()).then_calls("undo hotel")
    with pytest.raises(AssertionError, match=r"book#1.*\n.*start hotel"):
        scenario.then_calls("book#1")


def test_unexpected_status_is_shown() -> None:
    with pytest.raises(AssertionError, match=r"parked\n.*running"):
        given(TWO).then_status("parked")
    with pytest.raises(AssertionError, match=r"succeeded.*\n.*calling"):
        given(TWO).then_status("running", book="succeeded")


def test_history_is_replayed() -> None:
    scenario = given(TWO, history=[CALLED, StepSucceeded(step="book", attempt=1)])

    assert (scenario.events, scenario.state.version) == ((), 3)
    with pytest.raises(CorruptStream):
        given(TWO, history=[SagaCompleted(), SagaCompleted()])


def test_scenario_is_a_value_with_two_continuations() -> None:
    scenario = given(TWO)

    scenario.when(action_answer("book", DONE)).then_status("running", book="succeeded")
    scenario.when(action_answer("book", UNKNOWN)).then_status("running", book="backing_off")


def test_time_stands_still_unless_after_moves_it() -> None:
    scenario = given(TWO).when(action_answer("book", DONE), after=timedelta(seconds=5))

    assert scenario.now == NOON + timedelta(seconds=5)
    assert scenario.when(action_answer("pay", DONE)).now == scenario.now


def test_refusal_must_be_asserted() -> None:
    passed = given(define("pay pivot")).when(action_answer("pay", DONE))
    refused = passed.when(Compensate())

    with pytest.raises(NotCompensatable):
        refused.then_nothing_happened()
    with pytest.raises(NotCompensatable):
        refused.then_calls()
    with pytest.raises(NotCompensatable):
        refused.when(action_answer("pay", DONE))
    assert refused.then_refused(NotCompensatable, "pivot has succeeded").saga == passed.saga


@pytest.mark.parametrize(("kind", "why"), [(CorruptStream, ""), (NotCompensatable, "the moon")])
def test_unexpected_refusal_is_shown(
    kind: type[CorruptStream | NotCompensatable], why: str
) -> None:
    passed = given(define("pay pivot")).when(action_answer("pay", DONE))

    with pytest.raises(AssertionError, match=f"expected {kind.__name__} .* got NotCompensatable"):
        passed.when(Compensate()).then_refused(kind, why)


def test_allowed_input_was_not_refused() -> None:
    with pytest.raises(AssertionError, match="got None"):
        given(TWO).then_refused(NotCompensatable)


def test_order_of_the_examples_sends_its_first_call() -> None:
    scenario = given(order_definition(), input={"step_data": [{"amount": 1}, {}, {}]})

    assert scenario.then_calls("create_order#1").calls[0].body == b'{"amount":1}'
