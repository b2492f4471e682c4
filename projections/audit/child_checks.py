"""Checks across parents and children: awaited children exist and end, and both sides agree."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import groupby

from ...eventstore import EventLog, RecordedEvent, StreamId
from ...fsm.errors import CorruptStream
from ...fsm.invariants import (
    History,
    Invariant,
    Violation,
    child_results_arrive,
    children_agree,
    children_of,
    parent_names_child,
    violations_of,
)
from .saga_audit import Definitions, SagaAudit, replay_stream


@dataclass(frozen=True, slots=True)
class RelatedSagas:
    """Parents and children of some sagas, read after them: they contain all that is known of them.

    Sagas with a `broken` history are reported by their own audits.
    """

    histories: dict[str, History] = field(default_factory=dict)
    broken: set[str] = field(default_factory=set)


async def check_children(log: EventLog, audits: Sequence[SagaAudit]) -> Sequence[Violation]:
    """Check the sagas of `audits` against their parents and children. Raises LogUnavailable."""
    whole = [(audit, audit.history) for audit in audits if audit.history is not None]
    with_relatives = [(audit, history) for audit, history in whole if _related_ids(history)]
    saga_ids = {saga_id for _, history in with_relatives for saga_id in _related_ids(history)}
    if not saga_ids:
        return []
    streams = await log.read_streams([StreamId(saga_id) for saga_id in sorted(saga_ids)])
    related = _replay_related(streams, audits[0].context.definitions)
    return [
        violation
        for audit, history in with_relatives
        for violation in _check(audit, history, related)
    ]


def _related_ids(history: History) -> list[str]:
    parent = history.saga.state.parent
    return [*children_of(history).values(), *([parent.saga_id] if parent is not None else [])]


def _replay_related(recorded: Iterable[RecordedEvent], definitions: Definitions) -> RelatedSagas:
    related = RelatedSagas()
    for saga_id, stream in groupby(recorded, key=lambda event: event.stream_id):
        related.broken.add(saga_id)
        with suppress(CorruptStream):
            history = replay_stream(list(stream), definitions)
            if history.broken is None:
                related.histories[saga_id] = history
                related.broken.discard(saga_id)
    return related


def _check(audit: SagaAudit, history: History, related: RelatedSagas) -> Iterator[Violation]:
    unheard = child_results_arrive(
        history, related.histories, served_since=audit.served_since, overdue=audit.context.overdue
    )
    yield from violations_of(Invariant.SAGAS_MAKE_PROGRESS, audit.saga_id, unheard)
    if related.broken.isdisjoint(children_of(history).values()):
        breaches = children_agree(history, related.histories)
        yield from violations_of(Invariant.CHILDREN_AGREE, audit.saga_id, breaches)
    parent = history.saga.state.parent
    if parent is not None and parent.saga_id not in related.broken:
        breaches = parent_names_child(history, related.histories.get(parent.saga_id))
        yield from violations_of(Invariant.CHILDREN_AGREE, audit.saga_id, breaches)
