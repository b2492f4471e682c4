"""Hypothesis strategies: definitions that can be registered, events of every type, JSON values."""

from __future__ import annotations

from datetime import UTC, timedelta
from decimal import Decimal
from typing import Any

from hypothesis import strategies as st
from msgspec.structs import fields

from ..call_outcome import CallOutcome, Outcome, OutputLoss
from ..codec import TYPES
from ..definitions.definition import Definition
from ..definitions.parser import parse_definition
from ..events import Cause, Event, Parent, Resolution
from ..formats.numbers import parse_decimal
from ..formats.strict_json import Json, JsonObject
from .participants_model import ParticipantBehavior

NAMES = ("book", "pay", "seat", "meal", "ship")

COMPLETION_TIMEOUT = {"completion_timeout": "4s"}
UNDOABLE = {"compensation"}  # of the two members, without a condition
INPUT: JsonObject = {"wanted": True, "unwanted": False}

texts = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=20)
numbers: st.SearchStrategy[int | Decimal] = (
    st.integers()
    | st.decimals(allow_nan=False, allow_infinity=False, places=2)
    | st.from_regex(
        r"-?(0|[1-9][0-9]{0,40})(\.[0-9]{1,40})([eE][+-]?[0-9]{1,2})?", fullmatch=True
    ).map(parse_decimal)
)
json_values: st.SearchStrategy[Json] = st.recursive(
    st.none() | st.booleans() | numbers | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)
json_objects = st.dictionaries(texts, json_values, max_size=3)
times = st.datetimes(timezones=st.just(UTC))
jitters = st.floats(min_value=0, max_value=1, exclude_max=True)
behaviors = st.sampled_from(ParticipantBehavior)
signals = st.sampled_from(["approval", "payment"])

call_outcomes: st.SearchStrategy[CallOutcome] = st.builds(
    CallOutcome,
    outcome=st.sampled_from(Outcome),
    reason=texts,
    output=json_values,
    output_is_null=st.booleans(),
    output_loss=st.none() | st.sampled_from(OutputLoss),
    retry_after=st.none() | st.timedeltas(timedelta(), timedelta(minutes=5)),
)

_MEMBERS: dict[str, st.SearchStrategy[Any]] = {
    "attempt": st.integers(1, 1_000_000),
    "times": st.integers(1, 1_000_000),
    "polls": st.integers(0, 1_000_000),
    "back": st.booleans(),
    "body": json_values,
    "by": st.sampled_from(NAMES),
    "by_parent": st.booleans(),
    "children": st.lists(texts, unique=True).map(tuple),
    "children_cancelled": st.booleans(),
    "cause": st.sampled_from(Cause),
    "deadline": times,
    "definition_version": st.integers(1, 2**31 - 1),
    "done": st.booleans(),
    "entity_id": json_values,
    "input": json_objects,
    "input_checked": st.booleans(),
    "not_done": st.lists(st.sampled_from(NAMES), unique=True).map(tuple),
    "without_output": st.lists(st.sampled_from(NAMES), unique=True).map(tuple),
    "accepted": st.none() | st.lists(st.sampled_from(NAMES), unique=True).map(tuple),
    "undo_again": st.none() | st.lists(st.sampled_from(NAMES), unique=True).map(tuple),
    "not_undone": st.lists(st.sampled_from(NAMES), unique=True).map(tuple),
    "next_poll": times,
    "outcome": st.sampled_from(Outcome),
    "output": json_values,
    "output_is_null": st.booleans(),
    "output_loss": st.sampled_from(OutputLoss),
    "parent": st.builds(
        Parent, saga_id=texts, step=st.sampled_from(NAMES), depth=st.integers(1, 16)
    ),
    "resent": st.booleans(),
    "rested_version": st.integers(1, 1_000_000),
    "start_at": times,
    "step": st.sampled_from(NAMES),
    "tags": st.dictionaries(texts, texts, max_size=3),
    "until": times,
    "verdict": st.sampled_from(Resolution),
}


def events_of(kind: type[Event]) -> st.SearchStrategy[Event]:
    """Draw events of one type, with every member; a member without a strategy is a text."""
    members = {member.name: _MEMBERS.get(member.name, texts) for member in fields(kind)}
    absent = [member.name for member in fields(kind) if member.default is None]
    return st.builds(kind, **{**members, **{name: st.none() | members[name] for name in absent}})


events: st.SearchStrategy[Event] = st.one_of([events_of(kind) for kind in TYPES.values()])


@st.composite
def definitions(draw: st.DrawFn, max_steps: int = 5) -> Definition:
    """Draw sequences and graphs with every option that matters to the rules; they read INPUT."""
    names = NAMES[: draw(st.integers(1, max_steps))]
    pivot = draw(st.none() | st.sampled_from(names))
    steps: dict[str, dict[str, Json]] = {}
    before: dict[str, set[str]] = {}
    for number, name in enumerate(names):
        after = draw(_predecessors(names[:number]))
        before[name] = {*after}.union(*(before[predecessor] for predecessor in after))
        earlier = {other: steps[other] for other in names[:number] if other in before[name]}
        step = draw(_waits(name) if _rarely(draw) else _calls(name, earlier, pivot=name == pivot))
        steps[name] = {**step, "after": after}
    deadline = draw(st.sampled_from([{}, {"deadline": "5s"}]))
    return parse_definition({"saga": "trip", "version": 1, "steps": [*steps.values()], **deadline})


@st.composite
def _predecessors(draw: st.DrawFn, earlier: tuple[str, ...]) -> list[str]:
    """Draw the step before, or rarely any earlier steps."""
    if not earlier or not _rarely(draw):
        return list(earlier[-1:])
    return draw(st.lists(st.sampled_from(earlier), max_size=2, unique=True))


@st.composite
def _waits(draw: st.DrawFn, name: str) -> dict[str, Json]:
    on_timeout = draw(st.sampled_from(["reject", "park"]))
    signal = {"signal": draw(signals), "timeout": "3s", "on_timeout": on_timeout}
    return {"name": name, **draw(st.sampled_from([{"sleep": "2s"}, {"wait_for": signal}]))}


@st.composite
def _calls(
    draw: st.DrawFn, name: str, earlier: dict[str, dict[str, Json]], *, pivot: bool
) -> dict[str, Json]:
    """Draw a step that calls a participant; `earlier` are the steps that are over before it."""
    undoable = [
        other for other in earlier if {"compensation", "when"} & {*earlier[other]} == UNDOABLE
    ]
    after_pivot = pivot or any(
        other.get("pivot") and "when" not in other for other in earlier.values()
    )
    step: dict[str, Json] = {"name": name, "participant": f"{name}-service", "pivot": pivot}
    path = f"/${{steps.{undoable[-1]}.output.id}}" if undoable and _rarely(draw) else f"/{name}"
    step["action"] = {"path": path, "retry": {"attempts": draw(st.sampled_from([3, 2, 1]))}}
    ways = ["compensation", "none"] + ["undone_by"] * bool(undoable) + ["nothing"] * 2 * after_pivot
    if _rarely(draw):
        step["when"] = draw(st.sampled_from(["${input.wanted}", "${input.unwanted}"]))
    if _rarely(draw):
        step |= {"completion": draw(st.sampled_from(["callback", "poll"])), **COMPLETION_TIMEOUT}
    if _rarely(draw) or step.get("completion") == "poll":
        step["status"] = {"path": f"/{name}/status"}
    match draw(st.sampled_from(ways)):
        case "compensation":
            step["compensation"] = draw(_compensations(name))
        case "none":
            step["effect"] = "none"
        case "undone_by":
            step["undone_by"] = draw(st.sampled_from(undoable))
    can_be_undone = not {"compensation", "undone_by"}.isdisjoint(step)
    step["compensate_on_reject"] = can_be_undone and _rarely(draw)
    return step


@st.composite
def _compensations(draw: st.DrawFn, name: str) -> dict[str, Json]:
    path = f"/${{steps.{name}.output.id}}/undo" if _rarely(draw) else f"/{name}/undo"
    return {
        "path": path,
        "retry": {"attempts": draw(st.integers(1, 3))},
        "on_failure": draw(st.sampled_from(["park", "continue"])),
    }


def _rarely(draw: st.DrawFn) -> bool:
    return draw(st.integers(0, 3)) == 3
