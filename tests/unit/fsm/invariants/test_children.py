"""Parents and children that say different things of each other."""

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
BEGUN: list[Event] = [WaitStarted(step="trip", child_id=CHILD)]
BOOKED: list[Event] = [*BEGUN, done("trip", 0), SagaCompleted()]
REFUSED: list[Event] = [*BEGUN, rejected("trip", 0), BACK, SagaCompensated()]
GIVEN_BACK: list[Event] = [*BOOKED[:2], BACK, undo("trip"), undone("trip"), SagaCompensated()]
VOUCHED: list[Event] = [
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
TAKEN_BACK = history_of_events(
    ROOM, called("book"), done("book"), SagaCompleted(), BACK, undo("book"), undone("book"),
    SagaCompensated(),
)  # fmt: skip
GIVEN_UP = history_of_events(ROOM, called("book"), SagaAbandoned(reason="", not_done=("book",)))


@pytest.mark.parametrize(
    ("parent", "child"),
    [
        (BEGUN, None),
        (BEGUN, COMPLETED),
        (BOOKED, COMPLETED),
        (BOOKED, TAKEN_BACK),
        (REFUSED, None),
        (REFUSED, DECLINED),
        (GIVEN_BACK, TAKEN_BACK),
        (GIVEN_BACK, None),
        (VOUCHED, COMPLETED),
    ],
)
def test_what_both_say_is_no_flaw(parent: list[Event], child: History | None) -> None:
    history = history_of_events(TRIP, *parent)
    if parent is GIVEN_BACK and child is None:  # called back before it began
        history = history_of_events(
            TRIP, *BEGUN, BACK, undo("trip"), undone("trip"), SagaCompensated()
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
            GIVEN_BACK,
            COMPLETED,
            [
                "CompensationSucceeded of trip, and its child is completed",
                "compensated, and the child of trip is completed",
            ],
        ),
        (GIVEN_BACK, GIVEN_UP, ["StepSucceeded of trip, and its child is abandoned"]),
    ],
)
def test_what_a_child_denies_is_found(
    parent: list[Event], child: History | None, flaws: list[str]
) -> None:
    found = children_agree(history_of_events(TRIP, *parent), {CHILD: child} if child else {})

    assert [one.detail for one in found] == flaws


def test_a_parent_that_completed_on_a_child_that_had_turned_back_is_found() -> None:
    definition = define("trip child=room", "pay")
    parent = history_of_events(definition, *BOOKED[:2], called("pay"), done("pay"), SagaCompleted())

    (flaw,) = children_agree(parent, {CHILD: TAKEN_BACK})
    assert (flaw.version, flaw.detail) == (6, "completed on the child of trip, which was undone")
    assert list(children_agree(parent, {CHILD: COMPLETED})) == []


def a_child() -> History:
    start = SagaStarted(
        saga_type="room",
        definition_version=1,
        entity_id=1,
        input={},
        parent=Parent(saga_id=SAGA_ID, step="trip"),
    )
    return fold(ROOM, CHILD, entries(start))


def test_a_child_is_known_to_its_parent() -> None:
    child, parent = a_child(), history_of_events(TRIP, *BEGUN)
    other = WaitStarted(step="trip", child_id="another child")

    assert list(parent_names_child(child, parent)) == []
    for unknowing in (None, history_of_events(TRIP), history_of_events(TRIP, other)):
        (flaw,) = parent_names_child(child, unknowing)
        assert flaw.detail == f"it is the child of trip, which {SAGA_ID} does not know of"
