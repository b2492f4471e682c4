"""Invariants that hold for every saga after every scenario, as far as they show from outside.

Each check yields one line for each breach, which begins with the number of the invariant.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise

from saga_orchestrator.tests.blackbox.json_values import Json
from saga_orchestrator.tests.blackbox.ledger import ReceivedCall
from saga_orchestrator.tests.blackbox.script import Endpoint

HANG_UP_GRACE_SECONDS = 0.05  # until a participant notices that its caller hung up
CLOCK_TOLERANCE_SECONDS = 0.002  # the time of an event may be rounded to the millisecond
TRACEPARENT = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")
RESTING_STATUSES = {"completed", "compensated", "parked", "abandoned"}
NEXT_STATUSES: Mapping[str, Set[str]] = {
    "pending": {"running", "compensating", "compensated", "parked", "abandoned"},
    "running": {"completed", "compensating", "compensated", "parked", "abandoned"},
    "compensating": {"compensated", "parked", "abandoned"},
    "parked": {"running", "compensating", "completed", "compensated", "abandoned"},
    "completed": {"compensating"},
    "compensated": set(),
    "abandoned": set(),
}
FOLDED_MEMBERS = ("status", "current_step", "error", "steps", "remaining_steps", "parked")


@dataclass(frozen=True, slots=True)
class StepNode:
    """A step of a definition: the labels of its calls, and its position in the graph."""

    name: str
    action: str | None = None
    compensation: str | None = None
    predecessors: frozenset[str] = frozenset()  # direct or not
    is_pivot: bool = False


def step_nodes(definition: Mapping[str, Json]) -> dict[str, StepNode]:
    """Return the steps of `definition` by name."""
    steps = definition["steps"]
    parents: dict[str, Sequence[str]] = {}
    for previous, step in zip([None, *steps], steps, strict=False):
        parents[step["name"]] = step.get("after", [previous["name"]] if previous else [])
    return {
        step["name"]: StepNode(
            name=step["name"],
            action=_label_of(step.get("action")),
            compensation=_label_of(step.get("compensation")),
            predecessors=frozenset(_ancestors(step["name"], parents)),
            is_pivot=bool(step.get("pivot")),
        )
        for step in steps
    }


def _ancestors(name: str, parents: Mapping[str, Sequence[str]]) -> Iterator[str]:
    for parent in parents.get(name, ()):
        yield parent
        yield from _ancestors(parent, parents)


def _label_of(call: Mapping[str, Json] | None) -> str | None:
    return Endpoint.from_template("", "", call["path"]).label if call else None


NO_STEP = StepNode("")


@dataclass(frozen=True, slots=True)
class SagaRecord:
    """One saga: its views and events, and the calls that participants received for it."""

    view: Mapping[str, Json]
    events: Sequence[Mapping[str, Json]]  # empty if the history is not audited
    past_views: Sequence[Mapping[str, Json]]  # at version 1, 2, ...
    nodes: Mapping[str, StepNode]
    calls: Sequence[ReceivedCall]
    has_one_owner: bool  # False where the scenario wakes a stale owner

    @property
    def is_at_rest(self) -> bool:
        return self.view["status"] in RESTING_STATUSES

    @property
    def actions(self) -> list[ReceivedCall]:
        return [call for call in self.calls if call.label == self.node_of(call).action]

    @property
    def compensations(self) -> list[ReceivedCall]:
        return [call for call in self.calls if call.label == self.node_of(call).compensation]

    @property
    def directed_calls(self) -> list[tuple[ReceivedCall, str]]:
        actions = [(call, "action") for call in self.actions]
        return actions + [(call, "compensation") for call in self.compensations]

    def node_of(self, call: ReceivedCall) -> StepNode:
        return self.nodes.get(call.step, NO_STEP)

    def status_of(self, step: str) -> str:
        statuses = {each["name"]: str(each["status"]) for each in self.view["steps"]}
        return statuses.get(step, "")

    def count_effects(self, calls: Sequence[ReceivedCall], node: StepNode) -> int:
        return sum(call.took_effect for call in calls if self.node_of(call) is node)


def breaches(record: SagaRecord) -> Iterator[str]:
    """Yield every breach; those of the history only where it was read."""
    for check in CHECKS:
        yield from check(record)
    if record.events:
        for check in HISTORY_CHECKS:
            yield from check(record)


def keys_and_headers(record: SagaRecord) -> Iterator[str]:
    """I7: the key is a function of saga, step and direction, and every call has all headers."""
    labels = {label for node in record.nodes.values() for label in (node.action, node.compensation)}
    for call in record.calls:
        node = record.node_of(call)
        if call.label in labels - {node.action, node.compensation}:
            yield f"{call.label} came with Saga-Step {call.step!r}"
    for call, direction in record.directed_calls:
        key = f"{call.saga_id}/{call.step}/{direction}"
        if call.key != key:
            yield f"I7: {call.label} came with key {call.key!r}, not {key!r}"
        if call.attempt is None or call.epoch is None:
            yield f"{call.label} came without Saga-Attempt or Saga-Epoch"
        if not TRACEPARENT.fullmatch(call.headers.get("traceparent", "")):
            yield f"{call.label} came without a W3C traceparent"


def epochs_in_order(record: SagaRecord) -> Iterator[str]:
    """I9: the epochs that participants receive never go back."""
    epochs = [call.epoch for call in record.calls if call.epoch is not None]
    if record.has_one_owner and epochs != sorted(epochs):
        yield f"I9: the epochs sent to participants go back: {epochs}"


def settled_before_compensation(record: SagaRecord) -> Iterator[str]:
    """R2: no compensation while a forward call is open, no forward call after a compensation."""
    for compensation in record.compensations:
        for action in record.actions:
            if action.received < compensation.received < action.ended - HANG_UP_GRACE_SECONDS:
                yield f"R2: {compensation.label} was sent while {action.label} was still open"
            if action.received > compensation.received and record.has_one_owner:
                yield f"R2: {action.label} was sent after {compensation.label}"


def compensation_of_actions(record: SagaRecord) -> Iterator[str]:
    """I3: a compensation is sent only after a call of its action."""
    for compensation in record.compensations:
        actions = [call for call in record.actions if call.step == compensation.step]
        if not any(call.received < compensation.received for call in actions):
            action = record.node_of(compensation).action
            yield f"I3: {compensation.label} was sent though {action} never was"


def compensated_in_reverse(record: SagaRecord) -> Iterator[str]:
    """I4: a step is compensated after all steps that follow it in the graph."""
    first = {call.step: call.received for call in reversed(record.compensations)}
    for step, received in first.items():
        for earlier in record.nodes[step].predecessors & first.keys():
            if first[earlier] < received:
                yield f"I4: {earlier} was undone before {step}, which came after it"


def all_or_nothing(record: SagaRecord) -> Iterator[str]:
    """I2 and I3: at rest all effects have happened once, or all are compensated."""
    for node in record.nodes.values():
        done = record.count_effects(record.actions, node)
        undone = record.count_effects(record.compensations, node)
        by_hand = record.status_of(node.name) in {"resolved", "skipped"}
        match record.view["status"]:
            case "completed" if undone or (node.action and done != 1 and not by_hand):
                yield f"I2: completed, but {node.name} has {done} effects and {undone} undone"
            case "compensated" if node.compensation and done > undone and not by_hand:
                yield f"I3: compensated, but the effect of {node.name} is not undone"


def pivots_hold(record: SagaRecord) -> Iterator[str]:
    """I5: no step before a passed pivot is compensated."""
    for node in record.nodes.values():
        if node.is_pivot and record.status_of(node.name) == "succeeded":
            protected = node.predecessors | {node.name}
            wrong = [call.label for call in record.compensations if call.step in protected]
            yield from (f"I5: {label}, though the pivot was passed" for label in wrong)


def gapless_history(record: SagaRecord) -> Iterator[str]:
    """I9: versions have no gaps, and seq and epoch never go back."""
    versions = [event["version"] for event in record.events]
    head = record.view["version"] if record.is_at_rest else versions[-1]
    if versions != list(range(1, head + 1)):
        yield f"I9: versions {versions}, and the status view is at {record.view['version']}"
    if any(before["seq"] >= after["seq"] for before, after in pairwise(record.events)):
        yield f"I9: seq goes back: {[event['seq'] for event in record.events]}"
    if any(before["epoch"] > after["epoch"] for before, after in pairwise(record.events)):
        yield f"I9: epoch goes back: {[event['epoch'] for event in record.events]}"


def intent_before_call(record: SagaRecord) -> Iterator[str]:
    """I6: a committed StepCalled or CompensationCalled of the same attempt precedes each call."""
    kinds = {"StepCalled": "action", "CompensationCalled": "compensation"}
    intents: dict[tuple[str, str, int], float] = {}
    for event in record.events:
        if event["type"] in kinds:
            intent = (kinds[event["type"]], event["data"]["step"], event["data"]["attempt"])
            intents.setdefault(intent, _timestamp(event["recorded_at"]))
    for call, direction in record.directed_calls:
        recorded = intents.get((direction, call.step, call.attempt or 0))
        if recorded is None or recorded > call.received + CLOCK_TOLERANCE_SECONDS:
            yield f"I6: {call.label} (attempt {call.attempt}) has no intent recorded before it"


def status_is_a_fold(record: SagaRecord) -> Iterator[str]:
    """I1 and I8: each version follows legally from the last, and the last is the current view."""
    statuses = [view["status"] for view in record.past_views]
    for version, (before, after) in enumerate(pairwise(statuses), 2):
        if before != after and after not in NEXT_STATUSES[before]:
            yield f"I1: {before} became {after} at version {version}"
    for version, view in enumerate(record.past_views, 1):
        if view["version"] != version:
            yield f"I8: at_version={version} answered version {view['version']}"
    for member in FOLDED_MEMBERS if record.is_at_rest else ():
        folded, current = record.past_views[-1][member], record.view[member]
        if folded != current:
            yield f"I8: {member} is {folded!r} by fold, but {current!r} in the view"


def _timestamp(text: str) -> float:
    return datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


Check = Callable[[SagaRecord], Iterator[str]]
CHECKS: tuple[Check, ...] = (
    keys_and_headers,
    epochs_in_order,
    settled_before_compensation,
    compensation_of_actions,
    compensated_in_reverse,
    all_or_nothing,
    pivots_hold,
)
HISTORY_CHECKS: tuple[Check, ...] = (gapless_history, intent_before_call, status_is_a_fold)
