"""The status of fixed histories, version by version, depends on the history alone."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

import pytest
from saga_orchestrator.fsm.call_outcome import Outcome
from saga_orchestrator.fsm.events import (
    Cause,
    CompensationCalled,
    CompensationFailed,
    CompensationStarted,
    CompensationSucceeded,
    Event,
    SagaCompensated,
    SagaCompleted,
    SagaParked,
    SagaUnparked,
    StepBackedOff,
    StepCalled,
    StepRejected,
    StepSucceeded,
)
from saga_orchestrator.fsm.saga import Saga
from saga_orchestrator.fsm.testing import (
    ACCEPTED,
    DONE,
    NOON,
    REJECTED,
    SAGA_ID,
    action_answer,
    callback_done,
    callback_failed,
    define,
    given,
)
from saga_orchestrator.projections.status import current_step, start_result_view, status_view

TRIP: Final = define("book", "pay", deadline="15m")
LATER: Final = NOON + timedelta(seconds=1)
BOOKED: Final[list[Event]] = [
    StepCalled(step="book", attempt=1),
    StepSucceeded(step="book", attempt=1, output={"id": 7}),
]
COMPLETED: Final[list[Event]] = [
    *BOOKED,
    StepCalled(step="pay", attempt=1),
    StepBackedOff(step="pay", attempt=1, outcome=Outcome.UNKNOWN, error="500 oops", until=LATER),
    StepCalled(step="pay", attempt=2),
    StepSucceeded(step="pay", attempt=2, output={"id": 8}),
    SagaCompleted(),
]
TURNED: Final[list[Event]] = [
    *BOOKED,
    StepCalled(step="pay", attempt=1),
    StepRejected(step="pay", attempt=1, error="402 declined"),
    CompensationStarted(cause=Cause.STEP_FAILED, error="pay was rejected: 402 declined"),
    CompensationCalled(step="book", attempt=1),
]
COMPENSATED: Final[list[Event]] = [
    *TURNED,
    CompensationSucceeded(step="book", attempt=1),
    SagaCompensated(),
]
PARKED: Final[list[Event]] = [
    *TURNED,
    CompensationFailed(step="book", attempt=1, error="409 shipped"),
    SagaParked(reason="compensation of book failed: 409 shipped", not_undone=("book",)),
]
HISTORIES: Final = {"completed": COMPLETED, "compensated": COMPENSATED, "parked": PARKED}


def saga_after(events: list[Event]) -> Saga:
    return given(TRIP, history=events).saga


def glance(saga: Saga) -> tuple[object, ...]:
    view = status_view(saga)
    steps = view["steps"]
    assert isinstance(steps, list)
    return view["status"], view["current_step"], *(step["status"] for step in steps)


def test_completed_saga_version_by_version() -> None:
    assert [glance(saga_after(COMPLETED[:number])) for number in range(len(COMPLETED) + 1)] == [
        ("running", None, "pending", "pending"),
        ("running", "book", "calling", "pending"),
        ("running", None, "succeeded", "pending"),
        ("running", "pay", "succeeded", "calling"),
        ("running", "pay", "succeeded", "backing_off"),
        ("running", "pay", "succeeded", "calling"),
        ("running", None, "succeeded", "succeeded"),
        ("completed", None, "succeeded", "succeeded"),
    ]


def test_compensated_saga_version_by_version() -> None:
    assert [glance(saga_after(COMPENSATED[:number])) for number in range(4, 9)] == [
        ("running", None, "succeeded", "rejected"),
        ("compensating", None, "succeeded", "rejected"),
        ("compensating", "book", "compensating", "rejected"),
        ("compensating", None, "compensated", "rejected"),
        ("compensated", None, "compensated", "rejected"),
    ]


@pytest.mark.parametrize("end", HISTORIES)
def test_each_event_is_one_version(end: str) -> None:
    history = HISTORIES[end]

    for number in range(len(history) + 1):
        assert status_view(saga_after(history[:number]))["version"] == number + 1


@pytest.mark.parametrize("end", HISTORIES)
def test_equal_histories_have_equal_status(end: str) -> None:
    view, other_view = (status_view(saga_after(HISTORIES[end])) for _ in range(2))

    assert view == other_view
    assert view["status"] == end


def test_complete_view_of_a_saga_in_progress() -> None:
    at_noon, later = "2026-03-01T12:00:00.000000Z", "2026-03-01T12:00:01.000000Z"

    view = status_view(saga_after(COMPLETED[:4]))

    expected = {
        "saga_id": SAGA_ID,
        "saga_type": "trip",
        "definition_version": 1,
        "entity_id": "order-1",
        "status": "running",
        "current_step": "pay",
        "error": None,
        "success": False,
        "remaining_steps": ["pay"],
        "version": 5,
        "deadline": "2026-03-01T12:15:00.000000Z",
        "created_at": at_noon,
        "updated_at": at_noon,
        "parked": None,
    }
    assert {name: view[name] for name in expected} == expected
    assert view["steps"] == [
        {
            "name": "book",
            "status": "succeeded",
            "attempts": 1,
            "started_at": at_noon,
            "finished_at": at_noon,
            "next_attempt_at": None,
            "last_error": None,
            "output": {"id": 7},
        },
        {
            "name": "pay",
            "status": "backing_off",
            "attempts": 1,
            "started_at": at_noon,
            "finished_at": None,
            "next_attempt_at": later,
            "last_error": "500 oops",
            "output": None,
        },
    ]


def test_parked_saga_lists_steps_that_are_not_undone() -> None:
    view = status_view(saga_after(PARKED))

    assert view["parked"] == {
        "reason": "compensation of book failed: 409 shipped",
        "since": "2026-03-01T12:00:00.000000Z",
        "not_done": [],
        "not_undone": ["book"],
    }
    assert (view["success"], view["error"]) == (False, "pay was rejected: 402 declined")


def left_of(saga: Saga) -> tuple[object, object]:
    parked = status_view(saga)["parked"]
    assert isinstance(parked, dict)
    return parked["not_done"], parked["not_undone"]


def test_step_done_after_parking_is_no_longer_listed_as_not_done() -> None:
    definition = define("pay pivot", "ship after=pay callback", "mail after=pay", "thank")
    case = given(definition).when(action_answer("pay", DONE)).when(action_answer("ship", ACCEPTED))
    parked = case.when(action_answer("mail", REJECTED))
    assert left_of(parked.saga) == (["ship", "mail", "thank"], [])

    assert left_of(parked.when(callback_done("ship")).saga) == (["mail", "thank"], [])
    assert left_of(parked.when(callback_failed("ship")).saga) == (["ship", "mail", "thank"], [])


def test_version_of_parking_keeps_its_list_of_steps_not_undone() -> None:
    history = [*PARKED, SagaUnparked(back=True), CompensationCalled(step="book", attempt=2)]

    assert left_of(saga_after(history[: len(PARKED)])) == ([], ["book"])
    assert status_view(saga_after(history))["parked"] is None


@pytest.mark.parametrize(
    ("events", "success", "error"),
    [
        (COMPLETED, True, None),
        (COMPLETED[:3], False, "still running"),
        (COMPENSATED, False, "pay was rejected: 402 declined"),
        (TURNED, False, "still running"),
        (
            PARKED,
            False,
            "pay was rejected: 402 declined; parked: compensation of book failed: 409 shipped",
        ),
        ([*COMPLETED[:-1], SagaParked(reason="no id")], False, "no id"),
    ],
)
def test_result_of_a_start(events: list[Event], success: bool, error: str | None) -> None:
    answer = start_result_view(saga_after(events))

    assert (answer["success"], answer["error"]) == (success, error)


def test_outputs_are_those_of_done_steps() -> None:
    assert start_result_view(saga_after(COMPLETED))["outputs"] == {
        "book": {"id": 7},
        "pay": {"id": 8},
    }
    assert start_result_view(saga_after(COMPENSATED))["outputs"] == {}


@pytest.mark.parametrize("end", HISTORIES)
def test_resting_saga_has_no_current_step(end: str) -> None:
    assert current_step(saga_after(HISTORIES[end])) is None
