"""Whether the children that sagas wait for are there, and are heard."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import groupby

from ..eventstore import EventLog, RecordedEvent, StreamId
from ..fsm.errors import CorruptStream
from ..fsm.invariants import (
    History,
    Promise,
    Violation,
    awaited_children,
    children_are_heard,
    violations_of,
)
from .case import Case, Definitions, fold_stream


async def check_children(log: EventLog, cases: Sequence[Case]) -> Sequence[Violation]:
    """Raises LogUnavailable."""
    waiting = [case for case in cases if case.history and awaited_children(case.history.saga)]
    named = [StreamId(one) for case in waiting for one in _children_of(case)]
    if not named:
        return []
    children = _folded(await log.read_streams(named), waiting[0].grounds.definitions)
    return [one for case in waiting for one in _check(case, children)]


def _children_of(case: Case) -> Iterator[str]:
    assert case.history is not None
    for _, state in awaited_children(case.history.saga):
        if state.child_id is not None:
            yield state.child_id


def _folded(recorded: Iterable[RecordedEvent], definitions: Definitions) -> Mapping[str, History]:
    """A child whose history is broken is a case of its own."""
    children: dict[str, History] = {}
    for child_id, stream in groupby(recorded, key=lambda one: one.stream_id):
        with suppress(CorruptStream):
            children[child_id] = fold_stream(list(stream), definitions)
    return children


def _check(case: Case, children: Mapping[str, History]) -> Iterator[Violation]:
    assert case.history is not None
    flaws = children_are_heard(
        case.history, children, served_since=case.served_since, overdue=case.grounds.overdue
    )
    return violations_of(Promise.ALL_COMES_TO_REST, case.saga_id, flaws)
