"""Parents and child sagas whose logs contradict each other."""

from __future__ import annotations

import pytest
from saga_orchestrator.fsm.events import (
    CompensationFailed,
    Event,
    Parent,
    Resolution,
    SagaAbandoned,
    SagaCompensated,
    SagaCompleted,
    SagaParked,
    SagaStarted,
    SagaUnparked,
    StepResolved,
    WaitStarted,
)
from saga_orchestrator.fsm.invariants import History, children_agree, fold, parent_names_child
from saga_orchestrator.fsm.testing import SAGA_ID, define
from saga_orchestrator.tests.unit.fsm.invariants.histories import (
    BACK,
    called,
    done,
    entries,
    history_of_events,
    rejected,
    undo,
    undone,
)

TRIP = define("trip child=room")
ROOM = define("book", name="room")
CHILD = "child"
STARTED: list[Event] = [WaitStarted(step="trip", child_id=CHILD)]
BOOKED: list[Event] = [*STARTED, done("trip", 0), SagaCompleted()]
REFUSED: list[Event] = [*STARTED, rejected("trip", 0), BACK, SagaCompensated()]
UNDONE: list[Event] = [*BOOKED[:2], BACK, undo("trip"), undone("trip"), SagaCompensated()]
RESOLVED: list[Event] = [
    *BOOKED[:2],
    BACK,
    undo("trip"),
    CompensationFailed(step="trip", attempt=1, error="no"),
    SagaParked(reason="no", not_undone=("trip",)),
    StepResolved(step="trip", verdict=Resolution.UNDONE, evidence="seen"),
    SagaUnparked(back=True),
    SagaCompensated(),
]

UNDER_WAY = history_of_events(ROOM, called("book"))
COMPLETED = history_of_events(ROOM, called("book"), done("book"), SagaCompleted())
DECLINED = history_of_events(ROOM, called("book"), rejected("book"), BACK, SagaCompensated())
COMPENSATED = history_of_events(
    ROOM, called("book"), done("book"), SagaCompleted(), BACK, undo("book"), undone("book"),
    SagaCompensated(),
)  # fmt: skip
ABANDONED = history_of_events(ROOM, called("book"), SagaAbandoned(reason="", not_done=("book",)))


@pytest.mark.parametrize(
    ("parent", "child"),
    [
        (STARTED, None),
        (STARTED, COMPLETED),
        (BOOKED, COMPLETED),
        (BOOKED, COMPENSATED),
        (REFUSED, None),
        (REFUSED, DECLINED),
        (UNDONE, COMPENSATED),
        (UNDONE, None),
        (RESOLVED, COMPLETED),
    ],
)
def test_parent_and_child_that_agree_violate_nothing(
    parent: list[Event], child: History | None
) -> None:
    history = history_of_events(TRIP, *parent)
    if parent is UNDONE and child is None:  # cancelled before it started
        history = history_of_events(
            TRIP, *STARTED, BACK, undo("trip"), undone("trip"), SagaCompensated()
        )

    assert list(children_agree(history, {CHILD: child} if child else {})) == []


@pytest.mark.parametrize(
    ("parent", "child", "flaws"),
    [
        (BOOKED, None, ["StepSucceeded of trip, and its child has never begun"]),
        (BOOKED, UNDER_WAY, ["StepSucceeded of trip, and its child is running"]),
        (BOOKED, DECLINED, ["StepSucceeded of trip, and its child is compensated"]),
        (
            REFUSED,
            COMPLETED,
            [
                "StepRejected of trip, and its child is completed",
                "compensated, and the child of trip is completed",
            ],
        ),
        (
            UNDONE,
            COMPLETED,
            [
                "CompensationSucceeded of trip, and its child is completed",
                "compensated, and the child of trip is completed",
            ],
        ),
        (UNDONE, ABANDONED, ["StepSucceeded of trip, and its child is abandoned"]),
    ],
)
def test_event_that_the_child_contradicts_is_a_breach(
    parent: list[Event], child: History | None, flaws: list[str]
) -> None:
    found = children_agree(history_of_events(TRIP, *parent), {CHILD: child} if child else {})

    assert [breach.detail for breach in found] == flaws


def test_parent_completed_on_a_compensated_child_is_a_breach() -> None:
    definition = define("trip child=room", "pay")
    parent = history_of_events(definition, *BOOKED[:2], called("pay"), done("pay"), SagaCompleted())

    (flaw,) = children_agree(parent, {CHILD: COMPENSATED})
    assert (flaw.version, flaw.detail) == (6, "completed on the child of trip, which was undone")
    assert list(children_agree(parent, {CHILD: COMPLETED})) == []


def child_saga() -> History:
    start = SagaStarted(
        saga_type="room",
        definition_version=1,
        entity_id=1,
        input={},
        parent=Parent(saga_id=SAGA_ID, step="trip"),
    )
    return fold(ROOM, CHILD, entries(start))


def test_parent_names_its_child() -> None:
    child, parent = child_saga(), history_of_events(TRIP, *STARTED)
    other = WaitStarted(step="trip", child_id="another child")

    assert list(parent_names_child(child, parent)) == []
    for unknowing in (None, history_of_events(TRIP), history_of_events(TRIP, other)):
        (flaw,) = parent_names_child(child, unknowing)
        assert flaw.detail == f"it is the child of trip, which {SAGA_ID} does not know of"
