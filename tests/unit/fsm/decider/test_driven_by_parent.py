"""The commands that a child saga takes from its parent only, in each situation of both."""

from __future__ import annotations

import pytest
from msgspec.structs import replace
from saga_orchestrator.fsm.decider.driven_by_parent import (
    depends_on_parent,
    driven_verbs,
    require_not_driven,
)
from saga_orchestrator.fsm.errors import DrivenByParent
from saga_orchestrator.fsm.events import Parent, Resolution
from saga_orchestrator.fsm.inputs import (
    Abandon,
    Cancel,
    ChildPolicy,
    Compensate,
    Input,
    OperatorCommand,
    Pause,
    ResolveStep,
    Resume,
    Retry,
    SendSignal,
    SkipStep,
    TimerFired,
)
from saga_orchestrator.fsm.machines import SagaStatus
from saga_orchestrator.fsm.saga import Saga
from saga_orchestrator.fsm.testing import (
    REJECTED,
    SAGA_ID,
    Scenario,
    action_answer,
    child_finished,
    compensation_answer,
    define,
    given,
)
from saga_orchestrator.tests.unit.fsm.decider.scenarios import MINUTE, all_done

BESIDE = define("trip child=room after=", "approve signal=go or_park after=", "ship after=trip")
ALONE = define("trip child=room", "pay")
ROOM = define("book", "pay", name="room")
COMPLETED = child_finished("trip", SagaStatus.COMPLETED)
DAY = 24 * 60 * MINUTE


def child(case: Scenario) -> Saga:
    """Return the saga of `case` as the child of another."""
    state = replace(case.state, parent=Parent(saga_id=SAGA_ID, step="trip"))
    return Saga(case.saga.definition, state)


RUNNING = child(given(ROOM))
DONE_CHILD = child(all_done(given(ROOM), "book", "pay"))
PARKED = child(
    all_done(given(ROOM), "book")
    .when(action_answer("pay", REJECTED))
    .when(compensation_answer("book", REJECTED))
)
PARKED_BESIDE = given(BESIDE).when(TimerFired(), after=DAY).then_status("parked", trip="waiting")
COUNTED = given(ALONE).when(COMPLETED)
ENDS = {"abandon", "cancel", "compensate"}
CASES: dict[str, tuple[Saga, Scenario, set[str]]] = {
    "under way, and so is its parent": (RUNNING, given(ALONE), {*ENDS, "retry"}),
    "parked, and its parent waits": (PARKED, given(ALONE), ENDS),
    "under a paused parent": (
        RUNNING,
        given(ALONE).when(Pause()),
        {*ENDS, "retry", "resume"},
    ),
    "parked under a paused parent": (
        PARKED,
        given(ALONE).when(Pause()),
        {*ENDS, "retry", "resolve", "skip"},
    ),
    "counted by a parent under way": (DONE_CHILD, COUNTED, {*ENDS, "retry"}),
    "counted by a completed parent": (DONE_CHILD, all_done(COUNTED, "pay"), {*ENDS, "retry"}),
    "counted by a parked parent": (DONE_CHILD, PARKED_BESIDE.when(COMPLETED), {*ENDS, "retry"}),
    "completed, and the report is on its way": (DONE_CHILD, PARKED_BESIDE, {*ENDS, "retry"}),
    "under way beside a parked parent": (RUNNING, PARKED_BESIDE, set()),
    "left by an abandoned parent": (
        RUNNING,
        given(ALONE).when(Abandon(reason="enough", children=ChildPolicy.LEAVE)),
        set(),
    ),
    "called back by its parent": (RUNNING, given(ALONE).when(Cancel()), {*ENDS, "retry"}),
}
VERBS: dict[str, OperatorCommand] = {
    "abandon": Abandon(reason="enough"),
    "cancel": Cancel(),
    "compensate": Compensate(),
    "resolve": ResolveStep(step="book", verdict=Resolution.UNDONE, evidence="seen"),
    "resume": Resume(),
    "retry": Retry(),
    "skip": SkipStep(step="pay"),
}


@pytest.mark.parametrize(("saga", "parent", "driven"), CASES.values(), ids=CASES.keys())
def test_verbs_that_only_the_parent_may_use(saga: Saga, parent: Scenario, driven: set[str]) -> None:
    assert set(driven_verbs(saga, parent.saga)) == driven


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("verb", VERBS)
def test_refusal_names_the_parent_and_the_verbs_that_are_left(name: str, verb: str) -> None:
    saga, parent, driven = CASES[name]
    if verb not in driven:
        require_not_driven(saga, parent.saga, VERBS[verb])
        return

    with pytest.raises(DrivenByParent) as refused:
        require_not_driven(saga, parent.saga, VERBS[verb])
    assert refused.value.parent == SAGA_ID
    assert driven.isdisjoint(refused.value.allowed_actions)


@pytest.mark.parametrize("asked", [Pause(), SendSignal(name="go"), TimerFired()])
def test_commands_of_the_child_itself_do_not_depend_on_the_parent(asked: Input) -> None:
    assert not depends_on_parent(RUNNING, asked)


def test_a_saga_without_a_parent_decides_for_itself() -> None:
    assert not depends_on_parent(given(ROOM).saga, Cancel())
    assert depends_on_parent(RUNNING, Cancel())
