"""Whatever three steps have come to: the short way leads where the long one does."""

from __future__ import annotations

from datetime import timedelta
from itertools import product

import pytest
from msgspec.structs import replace
from saga_orchestrator.fsm.call_outcome import OutputLoss
from saga_orchestrator.fsm.decider.decision import DecisionBuilder
from saga_orchestrator.fsm.decider.forward import continue_graph, continue_sequence
from saga_orchestrator.fsm.definitions.definition import Definition
from saga_orchestrator.fsm.events import SagaCompleted, StepCalled
from saga_orchestrator.fsm.machines import StepStatus
from saga_orchestrator.fsm.saga import Saga
from saga_orchestrator.fsm.step_state import StepState
from saga_orchestrator.fsm.testing import NOON, define, given

SEQUENCE = define("book", "pay", "ship", deadline="1m")
DEFINITIONS = {
    "a sequence": SEQUENCE,
    "with a condition": define("book", "pay when=wanted", "ship"),
    "with a pivot": define("book", "pay pivot", "ship", deadline="1m"),
    "a graph": define("book", "pay after=", "ship after=book,pay", deadline="1m"),
    "not in order": define("book after=ship", "pay after=book", "ship after="),
}
LOST = replace(StepState(), status=StepStatus.SUCCEEDED, output_loss=OutputLoss.TOO_LARGE)
STATES = [None, LOST, *(replace(StepState(), status=one) for one in StepStatus)]


def in_states(definition: Definition, states: tuple[StepState | None, ...]) -> Saga:
    saga = given(definition).saga
    named = zip(("book", "pay", "ship"), states, strict=True)
    steps = {name: one for name, one in named if one is not None}
    return Saga(definition, replace(saga.state, steps=steps))


@pytest.mark.parametrize("after", [timedelta(), timedelta(minutes=2)])
@pytest.mark.parametrize("definition", DEFINITIONS.values(), ids=DEFINITIONS)
def test_the_short_way_leads_where_the_long_one_does(
    definition: Definition, after: timedelta
) -> None:
    for states in product(STATES, repeat=3):
        saga = in_states(definition, states)
        short, long = DecisionBuilder(saga, NOON + after), DecisionBuilder(saga, NOON + after)
        if continue_sequence(short):
            continue_graph(long)

            assert (short.events, short.saga) == (long.events, long.saga), states
            assert (short.calls, short.children) == (long.calls, long.children), states


def test_the_short_way_is_taken_where_all_goes_well() -> None:
    succeeded = replace(StepState(), status=StepStatus.SUCCEEDED)
    under_way = DecisionBuilder(in_states(SEQUENCE, (succeeded, None, None)), NOON)
    done = DecisionBuilder(in_states(SEQUENCE, (succeeded, succeeded, succeeded)), NOON)

    assert continue_sequence(under_way)
    assert continue_sequence(done)
    assert under_way.events == [StepCalled(step="pay", attempt=1)]
    assert done.events == [SagaCompleted()]
