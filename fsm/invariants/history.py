"""The recorded events of one saga, what they fold into, and the invariants of the log itself."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise

from ..definitions.definition import Definition
from ..errors import CorruptStream
from ..events import Event, StepEvent
from ..machines import IllegalTransition, SagaStatus
from ..saga import Saga, replay
from ..state import SagaState
from .violation import Breach


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryEntry:
    """A recorded event, with its position in its saga and in its shard, and its owner's epoch."""

    event: Event
    version: int
    seq: int
    epoch: int
    recorded_at: datetime

    def __str__(self) -> str:
        kind = self.event.type_name
        return f"{kind} of {self.event.step}" if isinstance(self.event, StepEvent) else kind


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """The events of one saga with the saga that they fold into.

    `entries` end before the first that cannot be folded, which is `broken`. `statuses` are those of
    the saga after each entry, and `saga` is the saga after the last.
    """

    saga: Saga
    entries: Sequence[HistoryEntry]
    statuses: Sequence[SagaStatus]
    broken: Breach | None = None

    @property
    def saga_id(self) -> str:
        return self.saga.state.saga_id

    @property
    def definition(self) -> Definition:
        return self.saga.definition

    @property
    def version(self) -> int:
        """The version of the last entry."""
        return self.entries[-1].version

    def saga_at(self, version: int) -> Saga:
        """Return the saga as it was at `version`, which it has reached."""
        if version == self.version:
            return self.saga
        recorded = (
            (entry.event, entry.recorded_at) for entry in self.entries if entry.version <= version
        )
        return replay(self.definition, self.saga_id, recorded)


def fold(
    definition: Definition,
    saga_id: str,
    entries: Sequence[HistoryEntry],
    unreadable: Breach | None = None,
) -> History:
    """Return the history of a saga, as far as its entries can be folded.

    `unreadable` is what follows `entries` and cannot be decoded. Raises CorruptStream if the first
    entry is not the start of a saga of that definition.
    """
    first, *following = entries
    saga = replay(definition, saga_id, [(first.event, first.recorded_at)])
    statuses, broken = [saga.state.status], unreadable
    for entry in following:
        try:
            saga = _after(saga, entry)
        except (CorruptStream, IllegalTransition) as error:
            broken = Breach(entry.version, f"{entry} cannot follow: {error.__cause__ or error}")
            break
        statuses.append(saga.state.status)
    folded = entries[: len(statuses)]
    return History(saga=saga, entries=folded, statuses=statuses, broken=broken)


def _after(saga: Saga, entry: HistoryEntry) -> Saga:
    """Apply one entry. Raises CorruptStream, and IllegalTransition for an unknown step."""
    event = entry.event
    if isinstance(event, StepEvent) and event.step not in saga.definition.by_name:
        raise IllegalTransition(f"{saga.definition.name} has no such step")
    return saga.evolve(event, entry.recorded_at)


def status_is_a_fold(history: History) -> Iterator[Breach]:
    """Invariant I8. Each event is a transition that its machine has."""
    if history.broken is not None:
        yield history.broken


def states_match_log(history: History, states: Mapping[int, SagaState]) -> Iterator[Breach]:
    """Invariant I8. The log folds into each of the states that a process saw, by version."""
    for version, state in states.items():
        if version > history.version:
            yield Breach(None, f"version {version} was seen, and the log ends at {history.version}")
        elif history.saga_at(version).state != state:
            yield Breach(version, f"the log folds into another state than was seen at {version}")


def log_has_no_gaps(entries: Sequence[HistoryEntry]) -> Iterator[Breach]:
    """Invariant I9. Versions have no gap, and seqs and epochs only grow.

    The hash chain of the shard covers the events of other sagas in between.
    """
    if entries[0].version != 1:
        yield Breach(entries[0].version, "the first entry is not version 1")
    for before, after in pairwise(entries):
        if after.version != before.version + 1:
            yield Breach(after.version, f"it follows version {before.version}")
        if after.seq <= before.seq:
            yield Breach(after.version, f"seq {after.seq} follows seq {before.seq}")
        if after.epoch < before.epoch:
            yield Breach(after.version, f"epoch {after.epoch} follows epoch {before.epoch}")
