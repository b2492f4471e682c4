from __future__ import annotations

from datetime import timedelta

import pytest
from saga_orchestrator.fsm.errors import CorruptStream, NotCompensatable
from saga_orchestrator.fsm.events import SagaCompleted, StepCalled, StepSucceeded
from saga_orchestrator.fsm.inputs import Compensate
from saga_orchestrator.fsm.testing import (
    DONE,
    NOON,
    UNKNOWN,
    action_answer,
    define,
    given,
    order_definition,
)

TWO = define("book", "pay pivot")
CALLED = StepCalled(step="book", attempt=1)
DONE_AND_CALLED = (
    StepSucceeded(step="book", attempt=1),
    StepCalled(step="pay", attempt=1),
)


def test_a_case_tells_what_was_recorded_and_what_left() -> None:
    case = given(TWO).when(action_answer("book", DONE))

    assert case.then(*DONE_AND_CALLED).then_calls("pay#1") is case
    assert case.then_status("running", book="succeeded", pay="calling") is case


@pytest.mark.parametrize("events", [(), (CALLED,), DONE_AND_CALLED[::-1], DONE_AND_CALLED[:1]])
def test_other_events_than_expected_are_shown(events: tuple[StepCalled, ...]) -> None:
    case = given(TWO).when(action_answer("book", DONE))

    with pytest.raises(AssertionError, match=r"expected .*\n.*got .*StepSucceeded"):
        case.then(*events)


def test_other_calls_than_expected_are_shown() -> None:
    with pytest.raises(AssertionError, match=r"book#2.*\n.*book#1"):
        given(TWO).then_calls("book#2")


def test_what_is_asked_of_child_sagas_is_told_with_the_calls() -> None:
    case = given(define("book after=", "hotel child=room after="))

    case.then_calls("book#1", "start hotel")
    case.when(Compensate()).then_calls("undo hotel")
    with pytest.raises(AssertionError, match=r"book#1.*\n.*start hotel"):
        case.then_calls("book#1")


def test_another_status_than_expected_is_shown() -> None:
    with pytest.raises(AssertionError, match=r"parked\n.*running"):
        given(TWO).then_status("parked")
    with pytest.raises(AssertionError, match=r"succeeded.*\n.*calling"):
        given(TWO).then_status("running", book="succeeded")


def test_a_history_is_replayed() -> None:
    case = given(TWO, history=[CALLED, StepSucceeded(step="book", attempt=1)])

    assert (case.events, case.state.version) == ((), 3)
    with pytest.raises(CorruptStream):
        given(TWO, history=[SagaCompleted(), SagaCompleted()])


def test_a_case_is_a_value_that_can_go_two_ways() -> None:
    case = given(TWO)

    case.when(action_answer("book", DONE)).then_status("running", book="succeeded")
    case.when(action_answer("book", UNKNOWN)).then_status("running", book="backing_off")


def test_time_stands_still_unless_told() -> None:
    case = given(TWO).when(action_answer("book", DONE), after=timedelta(seconds=5))

    assert case.now == NOON + timedelta(seconds=5)
    assert case.when(action_answer("pay", DONE)).now == case.now


def test_a_refusal_must_be_looked_at() -> None:
    passed = given(define("pay pivot")).when(action_answer("pay", DONE))
    refused = passed.when(Compensate())

    with pytest.raises(NotCompensatable):
        refused.then()
    with pytest.raises(NotCompensatable):
        refused.then_calls()
    with pytest.raises(NotCompensatable):
        refused.when(action_answer("pay", DONE))
    assert refused.then_refused(NotCompensatable, "pivot has succeeded").saga == passed.saga


@pytest.mark.parametrize(("kind", "why"), [(CorruptStream, ""), (NotCompensatable, "the moon")])
def test_another_refusal_than_expected_is_shown(
    kind: type[CorruptStream | NotCompensatable], why: str
) -> None:
    passed = given(define("pay pivot")).when(action_answer("pay", DONE))

    with pytest.raises(AssertionError, match=f"expected {kind.__name__} .* got NotCompensatable"):
        passed.when(Compensate()).then_refused(kind, why)


def test_what_is_allowed_was_not_refused() -> None:
    with pytest.raises(AssertionError, match="got None"):
        given(TWO).then_refused(NotCompensatable)


def test_the_order_of_the_examples_is_ready_to_use() -> None:
    case = given(order_definition(), input={"step_data": [{"amount": 1}, {}, {}]})

    assert case.then_calls("create_order#1").calls[0].body == b'{"amount":1}'
