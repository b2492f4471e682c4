"""Whether the children that sagas wait for are there, and are heard; and whether parents and
children say the same of each other."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import groupby

from ..eventstore import EventLog, RecordedEvent, StreamId
from ..fsm.errors import CorruptStream
from ..fsm.invariants import (
    History,
    Promise,
    Violation,
    children_agree,
    children_are_heard,
    children_of,
    parents_know,
    violations_of,
)
from .case import Case, Definitions, fold_stream


@dataclass(frozen=True, slots=True)
class Kin:
    """Parents and children of some sagas, read after them: what is told of them has happened.

    Those with a `broken` history are cases of their own.
    """

    whole: dict[str, History] = field(default_factory=dict)
    broken: set[str] = field(default_factory=set)


async def check_children(log: EventLog, cases: Sequence[Case]) -> Sequence[Violation]:
    """Raises LogUnavailable."""
    histories = [(case, case.history) for case in cases if case.history is not None]
    related = [(case, history) for case, history in histories if _kin_of(history)]
    named = sorted({StreamId(one) for _, history in related for one in _kin_of(history)})
    if not named:
        return []
    kin = _folded(await log.read_streams(named), related[0][0].grounds.definitions)
    return [one for case, history in related for one in _check(case, history, kin)]


def _kin_of(history: History) -> list[str]:
    parent = history.saga.state.parent
    return [*children_of(history).values(), *([parent.saga_id] if parent is not None else [])]


def _folded(recorded: Iterable[RecordedEvent], definitions: Definitions) -> Kin:
    kin = Kin()
    for saga_id, stream in groupby(recorded, key=lambda one: one.stream_id):
        kin.broken.add(saga_id)
        with suppress(CorruptStream):
            history = fold_stream(list(stream), definitions)
            if history.broken is None:
                kin.whole[saga_id] = history
                kin.broken.discard(saga_id)
    return kin


def _check(case: Case, history: History, kin: Kin) -> Iterator[Violation]:
    heard = children_are_heard(
        history, kin.whole, served_since=case.served_since, overdue=case.grounds.overdue
    )
    yield from violations_of(Promise.ALL_COMES_TO_REST, case.saga_id, heard)
    if kin.broken.isdisjoint(children_of(history).values()):
        agree = children_agree(history, kin.whole)
        yield from violations_of(Promise.CHILDREN_AGREE, case.saga_id, agree)
    parent = history.saga.state.parent
    if parent is not None and parent.saga_id not in kin.broken:
        known = parents_know(history, kin.whole.get(parent.saga_id))
        yield from violations_of(Promise.CHILDREN_AGREE, case.saga_id, known)
