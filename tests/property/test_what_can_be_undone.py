"""R9: a definition is refused exactly if one of its effects may need to be undone, and cannot be.

The documents are drawn with all their mistakes. What the verifier should find is worked out here
from the document alone. What it accepts is driven, and compensated at some moment.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, TypeAlias

from hypothesis import HealthCheck, assume, event, given, settings
from hypothesis import strategies as st
from saga_orchestrator.fsm.call_outcome import Direction
from saga_orchestrator.fsm.decider.decide import allowed_actions
from saga_orchestrator.fsm.definitions.definition import Definition
from saga_orchestrator.fsm.definitions.findings import InvalidDefinition
from saga_orchestrator.fsm.definitions.parser import parse_definition
from saga_orchestrator.fsm.events import CompensationStarted
from saga_orchestrator.fsm.inputs import Compensate, StartSaga, TimerFired
from saga_orchestrator.fsm.instructions import next_wakeup
from saga_orchestrator.fsm.testing import (
    NOON,
    SAGA_ID,
    ParticipantBehavior,
    ParticipantsModel,
    SimulatedProcess,
)

Step: TypeAlias = dict[str, Any]
NAMES: Final = ("book", "pay", "seat", "ship")
NOT_UNDOABLE: Final = {"cannot-be-undone", "undone-by-nobody"}
CONDITIONS: Final[Mapping[str, frozenset[str]]] = {
    "${input.sunny}": frozenset({"sunny"}),
    "${input.rich}": frozenset({"rich"}),
    "${input.sunny && input.rich}": frozenset({"sunny", "rich"}),
}
MAX_TURNS_TO_REST: Final = 20
behaviors = st.sampled_from(
    [
        ParticipantBehavior.DONE,
        ParticipantBehavior.DONE,
        ParticipantBehavior.DONE,
        ParticipantBehavior.RESPONSE_LOST,
        ParticipantBehavior.REJECTED,
    ]
)
inputs = st.fixed_dictionaries({"sunny": st.booleans(), "rich": st.booleans()})


@st.composite
def documents(draw: st.DrawFn) -> list[Step]:
    names = NAMES[: draw(st.integers(1, len(NAMES)))]
    return [draw(_steps(name, names[:number], names)) for number, name in enumerate(names)]


@st.composite
def _steps(draw: st.DrawFn, name: str, earlier: tuple[str, ...], names: tuple[str, ...]) -> Step:
    way = draw(st.sampled_from(["compensation", "none", "undone_by", "nothing"]))
    ways: Mapping[str, Step] = {
        "compensation": {"compensation": {"path": f"/{name}/undo"}},
        "none": {"effect": "none"},
        "undone_by": {"undone_by": draw(st.sampled_from(names))},
        "nothing": {},
    }
    conditions = st.sampled_from([{}, {}, *({"when": condition} for condition in CONDITIONS)])
    sequence = st.just(list(earlier[-1:]))
    graph = st.lists(st.sampled_from(earlier), unique=True) if earlier else sequence
    return {
        "name": name,
        "participant": f"{name}-service",
        "action": {"path": f"/{name}", "retry": {"attempts": 1}},
        "after": draw(sequence | graph),
        "pivot": draw(st.sampled_from([False, False, False, True])),
        **draw(conditions),
        **ways[way],
    }


def document(steps: list[Step]) -> Step:
    return {"saga": "trip", "version": 1, "steps": steps}


@settings(max_examples=15 * settings().max_examples)
@given(documents())
def test_definition_is_refused_exactly_if_an_effect_cannot_be_undone(steps: list[Step]) -> None:
    try:
        parse_definition(document(steps))
        codes = set()
    except InvalidDefinition as refused:
        codes = {finding.code for finding in refused.findings}

    by_name = {step["name"]: step for step in steps}
    fit = all(can_be_undone(step, by_name) for step in steps)
    event("fit" if fit else "unfit")
    assert NOT_UNDOABLE.isdisjoint(codes) == fit


def can_be_undone(step: Step, by_name: Mapping[str, Step]) -> bool:
    """True if a step can be undone, or need not be."""
    before = all_before(step, by_name)
    if step.get("effect") == "none" or "compensation" in step:
        return True
    if "undone_by" in step:
        other = by_name[step["undone_by"]]
        surely_there = conditions_of(other) <= conditions_of(step)
        return other["name"] in before and "compensation" in other and surely_there
    sure_pivots = {
        name
        for name, each_step in by_name.items()
        if each_step["pivot"] and "when" not in each_step
    }
    return step["pivot"] or not before.isdisjoint(sure_pivots)


def all_before(step: Step, by_name: Mapping[str, Step]) -> set[str]:
    found: set[str] = set(step["after"])
    return found.union(*(all_before(by_name[name], by_name) for name in step["after"]))


def conditions_of(step: Step) -> frozenset[str]:
    return CONDITIONS.get(step.get("when", ""), frozenset())


@settings(
    max_examples=3 * settings().max_examples,
    suppress_health_check=[HealthCheck.filter_too_much],  # most documents are refused
)
@given(documents(), inputs, st.lists(behaviors, max_size=4))
def test_accepted_definition_can_be_compensated_at_any_moment(
    steps: list[Step], given_input: dict[str, bool], story: list[ParticipantBehavior]
) -> None:
    definition = accepted(steps)
    assume(definition is not None)
    assert definition is not None
    request = StartSaga(entity_id=1, input=given_input)
    process = SimulatedProcess(definition, SAGA_ID, request, now=NOON)

    turn_back_after(process, story)

    turned = any(isinstance(each_event, CompensationStarted) for each_event in process.history)
    event("turned back" if turned else "went on")
    assert process.saga.state.status.is_at_rest
    assert not turned or process.saga.state.status == "compensated"


def accepted(steps: list[Step]) -> Definition | None:
    try:
        return parse_definition(document(steps))
    except InvalidDefinition:
        return None


def turn_back_after(process: SimulatedProcess, story: list[ParticipantBehavior]) -> None:
    """Request the compensation after some replies, if possible; each compensation succeeds."""
    participants = ParticipantsModel.of(process.definition)
    for behavior in story:
        go_on(process, participants, behavior)
    if "compensate" in allowed_actions(process.saga):
        process.handle(Compensate(), now=process.saga.state.updated_at)
    for _ in range(MAX_TURNS_TO_REST):
        go_on(process, participants, ParticipantBehavior.DONE)


def go_on(
    process: SimulatedProcess, participants: ParticipantsModel, behavior: ParticipantBehavior
) -> None:
    now = process.saga.state.updated_at
    if process.in_flight:
        sent = process.in_flight[0]
        undoes = sent.call.direction is Direction.COMPENSATION
        outcome = participants.answer(sent.call, ParticipantBehavior.DONE if undoes else behavior)
        process.receive(sent, outcome, now=now)
    elif (due := next_wakeup(process.saga)) is not None:
        process.handle(TimerFired(), now=max(now, due))
