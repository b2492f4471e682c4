"""Steps that are child sagas."""

from __future__ import annotations

from datetime import timedelta

import pytest
from saga_orchestrator.fsm.events import (
    Cause,
    CompensationCalled,
    CompensationFailed,
    CompensationStarted,
    CompensationSucceeded,
    LateReplyIgnored,
    Resolution,
    SagaParked,
    StepCalled,
    StepRejected,
    StepSucceeded,
    StepUnknown,
    WaitStarted,
)
from saga_orchestrator.fsm.inputs import ChildInstructionRefused, ResolveStep, Retry, TimerFired
from saga_orchestrator.fsm.instructions import pending_instructions
from saga_orchestrator.fsm.machines import SagaStatus
from saga_orchestrator.fsm.testing import (
    DONE,
    REJECTED,
    SAGA_ID,
    Scenario,
    action_answer,
    child_finished,
    compensation_answer,
    define,
    document,
    given,
)
from saga_orchestrator.tests.unit.fsm.decider.scenarios import (
    ASKED,
    MINUTE,
    all_done,
    all_undone,
    mapped,
)

DEFINITION = define("book", "hotel child=room", "pay")
REFUSED = ChildInstructionRefused(step="hotel", error="its pivot has succeeded")
COMPLETED = child_finished("hotel", SagaStatus.COMPLETED, outputs={"bed": {"id": 7}})
COMPENSATED = child_finished("hotel", SagaStatus.COMPENSATED)
ABANDONED = child_finished("hotel", SagaStatus.ABANDONED)
PARKED = child_finished("hotel", SagaStatus.PARKED)
LATER = timedelta(days=7)


def started() -> Scenario:
    return all_done(given(DEFINITION), "book")


def completed() -> Scenario:
    return started().when(COMPLETED)


def undoing() -> Scenario:
    """Return a compensating saga whose completed child is being compensated."""
    return completed().when(action_answer("pay", REJECTED)).then_calls("undo hotel")


def test_a_child_is_started_with_its_recorded_name() -> None:
    case = started().then_calls("start hotel")

    (child,) = case.children
    assert case.events[1:] == (WaitStarted(step="hotel", child_id=child.child_id),)
    assert (child.parent.saga_id, child.parent.step) == (SAGA_ID, "hotel")


def test_the_name_of_a_child_is_that_of_its_parent_and_step() -> None:
    again = started()
    beside = given(define("hotel child=room after=", "car child=room after="))

    names = [child.child_id for case in (started(), again, beside) for child in case.children]

    assert (len(names), len(set(names))) == (4, 2)
    assert all(
        len(child_id) == len(SAGA_ID) and child_id[-2:] == SAGA_ID[-2:] for child_id in names
    )


def test_a_child_has_its_input_and_the_entity_of_its_parent() -> None:
    child = {"type": "room", "version": 3, "input": {"nights": "${input.nights}"}}
    definition = mapped(dict(document("hotel child=room")), 0, saga=child)

    (command,) = given(definition, input={"nights": 2}).children

    assert (getattr(command, "saga_type", ""), getattr(command, "version", 0)) == ("room", 3)
    assert getattr(command, "input", None) == {"nights": 2}
    assert getattr(command, "entity_id", None) == "order-1"


def test_an_input_that_cannot_be_made_parks() -> None:
    child = {"type": "room", "input": {"id": "${steps.book.output.id}"}}
    definition = mapped(dict(document("book", "hotel child=room")), 1, saga=child)
    case = all_done(given(definition), "book").then_calls()

    case.then_status("parked", hotel="pending")
    assert "the child saga hotel cannot be started" in str(case.state.error)


def test_a_child_is_waited_for_without_end() -> None:
    case = started().when(TimerFired(), after=LATER).then_nothing_happened()

    assert [type(instruction).__name__ for instruction in pending_instructions(case.saga)] == [
        "StartChild"
    ]


def test_a_completed_child_is_a_done_step_with_its_outputs() -> None:
    completed().then(
        StepSucceeded(step="hotel", attempt=0, output={"bed": {"id": 7}}),
        StepCalled(step="pay", attempt=1),
    )


def test_a_compensated_child_is_a_rejected_step_with_its_error() -> None:
    case = started().when(COMPENSATED).then_calls("undo book#1")

    assert case.events[:2] == (
        StepRejected(step="hotel", attempt=0, error="no room"),
        CompensationStarted(cause=Cause.STEP_FAILED, error="hotel was rejected: no room"),
    )


def test_an_abandoned_child_may_have_left_something_and_is_undone_if_it_can_be() -> None:
    case = started().when(ABANDONED).then_calls("undo hotel")

    assert case.events[0] == StepUnknown(step="hotel", attempt=0, error="no room")
    case.when(ABANDONED).then(
        CompensationFailed(step="hotel", attempt=1, error="the child saga was abandoned: no room"),
        SagaParked(
            reason="compensation of hotel failed: the child saga was abandoned: no room",
            not_undone=("book", "hotel"),
        ),
    )


def test_a_parked_child_leaves_its_parent_waiting() -> None:
    case = started().when(PARKED).then_nothing_happened()

    case.when(COMPLETED).then_calls("pay#1")


def test_a_child_that_could_not_be_started_is_a_rejected_step() -> None:
    case = started().when(ChildInstructionRefused(step="hotel", error="there is no saga room"))

    assert case.events[0] == StepRejected(step="hotel", attempt=0, error="there is no saga room")
    case.then_calls("undo book#1")


def test_a_completed_child_is_undone_as_a_saga() -> None:
    case = undoing()

    assert case.events[-1] == CompensationCalled(step="hotel", attempt=1)
    case.when(COMPENSATED).then(
        CompensationSucceeded(step="hotel", attempt=1), CompensationCalled(step="book", attempt=1)
    )


@pytest.mark.parametrize("rested", [COMPLETED, PARKED])
def test_a_child_on_its_way_back_is_waited_for(rested: object) -> None:
    undoing().when(rested).then_nothing_happened().then_status(  # type: ignore[arg-type]
        "compensating", hotel="compensating"
    )


def test_a_child_that_cannot_be_undone_parks_its_parent() -> None:
    undoing().when(REFUSED).then(
        CompensationFailed(step="hotel", attempt=1, error="its pivot has succeeded"),
        SagaParked(
            reason="compensation of hotel failed: its pivot has succeeded",
            not_undone=("book", "hotel"),
        ),
    )


def test_a_retry_asks_to_undo_the_child_again() -> None:
    case = undoing().when(REFUSED).when(Retry()).then_calls("undo hotel")

    assert case.events[1:] == (CompensationCalled(step="hotel", attempt=2),)
    all_undone(case.when(COMPENSATED), "book").then_status("compensated", hotel="compensated")


def test_active_child_is_compensated_and_awaited() -> None:
    case = started().when(ASKED).then_calls("undo hotel")
    case.then_status("compensating", hotel="waiting")
    assert [type(instruction).__name__ for instruction in pending_instructions(case.saga)] == [
        "CompensateChild"
    ]

    case.when(COMPENSATED).then(
        StepRejected(step="hotel", attempt=0, error="no room"),
        CompensationCalled(step="book", attempt=1),
    )


def test_a_child_that_is_completed_before_it_is_called_back_is_undone() -> None:
    case = started().when(ASKED).when(COMPLETED).then_calls("undo hotel")

    case.then_status("compensating", hotel="compensating")


def test_a_child_that_goes_on_when_it_is_called_back_is_waited_for() -> None:
    """Its pivot has succeeded, so it will be done; if it were rejected, it would not be undone."""
    case = started().when(ASKED).when(REFUSED).then_nothing_happened()

    case = case.when(COMPLETED).then_calls("undo hotel")
    case.when(REFUSED).then_status("parked", book="succeeded", hotel="compensation_failed")


def test_a_retry_of_a_refused_child_after_the_pivot_starts_it_again() -> None:
    case = all_done(given(define("pay pivot", "hotel child=room", "mail")), "pay")
    case = case.when(ChildInstructionRefused(step="hotel", error="there is no saga room"))
    case = case.then_status("parked", hotel="rejected").when(Retry()).then_calls("start hotel")

    case.when(COMPLETED).then_calls("mail#1").then_status("running", hotel="succeeded")


def test_a_child_that_was_not_done_after_the_pivot_is_started_again() -> None:
    case = all_done(given(define("pay pivot", "hotel child=room", "mail")), "pay").when(COMPENSATED)
    asked = ResolveStep(step="hotel", verdict=Resolution.NOT_DONE, evidence="no bed")

    case.when(asked).then_calls("start hotel").then_status("running", hotel="waiting")


def test_no_parent_completes_on_a_child_that_was_undone_behind_its_back() -> None:
    case = completed().when(COMPENSATED)

    error = "its child saga was undone: no room"
    assert case.events[0] == StepRejected(step="hotel", attempt=0, error=error)
    case = case.then_status("compensating", hotel="rejected", pay="calling")
    assert case.step("hotel").output is None
    case.when(action_answer("pay", DONE)).then_calls("undo pay#1").when(
        compensation_answer("pay", DONE)
    ).then_calls("undo book#1")


def test_child_that_was_compensated_after_a_pivot_parks_its_parent() -> None:
    case = given(define("hotel child=room", "pay pivot", "mail")).when(COMPLETED)
    case = all_done(case, "pay").when(COMPENSATED).when(action_answer("mail", DONE))

    case.then_status("parked", hotel="rejected", pay="succeeded")
    found = ResolveStep(step="hotel", verdict=Resolution.DONE, evidence="it stands")
    case.when(found).then_status("completed")


def test_child_that_is_compensated_after_its_parent_ended_is_only_recorded() -> None:
    case = all_done(completed(), "pay").then_status("completed").when(COMPENSATED)

    case.then(LateReplyIgnored(step="hotel", what="the child saga is compensated"))


@pytest.mark.parametrize("rested", [COMPLETED, ABANDONED, REFUSED])
def test_repeated_result_of_a_child_counts_once(rested: object) -> None:
    case = completed()

    case.when(rested).then_nothing_happened()  # type: ignore[arg-type]


def test_children_are_called_back_side_by_side() -> None:
    case = given(define("hotel child=room after=", "car child=room after="))

    case = case.then_calls("start hotel", "start car").when(ASKED)
    case = case.then_calls("undo hotel", "undo car").when(COMPENSATED).then_status("compensating")
    case.when(child_finished("car", SagaStatus.COMPENSATED)).then_status("compensated")


def test_a_rejected_step_beside_a_child_calls_it_back() -> None:
    case = given(define("hotel child=room after=", "pay after="))

    case.when(action_answer("pay", REJECTED)).then_calls("undo hotel")
    done = case.when(COMPLETED).when(action_answer("pay", DONE)).then_status("completed")
    done.when(ASKED).then_calls("undo pay#1").when(compensation_answer("pay", DONE)).then_calls(
        "undo hotel"
    )


def test_a_deadline_calls_a_child_back() -> None:
    case = given(define("hotel child=room", deadline="1m"))

    case.when(TimerFired(), after=MINUTE).then_calls("undo hotel")
