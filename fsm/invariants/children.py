"""Whether a saga says of its children what they say of themselves."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from ..events import (
    CompensationStarted,
    CompensationSucceeded,
    Event,
    SagaCompensated,
    SagaCompleted,
    StepEvent,
    StepRejected,
    StepResolved,
    StepSucceeded,
    WaitStarted,
)
from ..machines import SagaStatus
from .history import Entry, History
from .violation import Flaw
from .waiting import OVER


def children_of(history: History) -> Mapping[str, str]:
    """Their names, by step. A child is named as its parent begins to wait for it."""
    waits = (one.event for one in history.entries if isinstance(one.event, WaitStarted))
    return {one.step: one.child_id for one in waits if one.child_id is not None}


def children_agree(history: History, children: Mapping[str, History]) -> Iterator[Flaw]:
    """What is recorded of a child has happened to it; who is undone leaves none standing. A child
    that is not among `children` has never begun."""
    named, vouched = children_of(history), set[str]()
    for entry in history.entries:
        event = entry.event
        if isinstance(event, SagaCompleted):
            yield from _completed_without(entry, named.keys() - vouched, named, children)
        if not isinstance(event, StepEvent) or event.step not in named:
            continue
        if isinstance(event, StepResolved):
            vouched.add(event.step)
        if (why := _denied(event, children.get(named[event.step]))) is not None:
            yield Flaw(entry.version, f"{entry}, and its child {why}")
    if history.saga.state.status is SagaStatus.COMPENSATED:
        for step, child_id in named.items():
            child = children.get(child_id)
            if child is not None and step not in vouched and not _is_over(child):
                status = child.saga.state.status
                yield Flaw(history.version, f"compensated, and the child of {step} is {status}")


def _completed_without(
    end: Entry, steps: Collection[str], named: Mapping[str, str], children: Mapping[str, History]
) -> Iterator[Flaw]:
    """Of `steps` those whose children had turned back before the parent completed."""
    for step in sorted(steps):
        child = children.get(named[step])
        turns = [] if child is None else [one for one in child.entries if _turns_back(one)]
        if any(one.recorded_at < end.recorded_at for one in turns):
            yield Flaw(end.version, f"completed on the child of {step}, which was undone")


def _turns_back(entry: Entry) -> bool:
    return isinstance(entry.event, CompensationStarted)


def parents_know(history: History, parent: History | None) -> Iterator[Flaw]:
    """Of a child: whoever it is a step of has named it. None is a parent that never began."""
    of = history.saga.state.parent
    assert of is not None, "only a child has a parent"
    known = parent is not None and children_of(parent).get(of.step) == history.saga_id
    if not known:
        yield Flaw(1, f"it is the child of {of.step}, which {of.saga_id} does not know of")


def _denied(event: Event, child: History | None) -> str | None:
    """What the child says instead, if it does."""
    match event:
        case StepSucceeded():
            true = child is not None and _tells(child, SagaCompleted)
        case StepRejected():
            true = child is None or _tells(child, SagaCompensated)
        case CompensationSucceeded():
            true = child is None or _is_over(child)
        case _:
            true = True
    if true:
        return None
    return "has never begun" if child is None else f"is {child.saga.state.status}"


def _tells(child: History, kind: type[Event]) -> bool:
    return any(isinstance(one.event, kind) for one in child.entries)


def _is_over(child: History) -> bool:
    return child.saga.state.status in OVER
