"""What participants have done, against what the saga tells of itself: I2 and I3 from outside."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from ..definition import Step
from ..events import SagaAbandoned
from ..machines import SagaStatus, StepStatus
from ..outcome import Direction
from .history import History
from .ledger import SeenCall
from .stakes import Stakes
from .violation import Flaw

CERTAINLY_NOT_DONE = (
    StepStatus.PENDING,
    StepStatus.SKIPPED,
    StepStatus.NOT_SENT,
    StepStatus.REJECTED,
)


@dataclass(frozen=True, slots=True)
class Watch:
    """The participants that write down all that they are called for, and `until` when that was
    read: of others, and after that, nothing is missed."""

    participants: frozenset[str]
    until: datetime


def effects_are_told(history: History, calls: Sequence[SeenCall], watch: Watch) -> Iterator[Flaw]:
    """`calls` are in the order in which they came."""
    effects = _Effects(history, calls, watch)
    yield from effects.twice()
    yield from effects.denied()
    if history.saga.state.updated_at <= watch.until:
        yield from effects.missing()
        yield from effects.left_standing()
        if history.saga.state.status is SagaStatus.COMPLETED:
            yield from effects.undone_or_early()


class _Effects:
    def __init__(self, history: History, calls: Sequence[SeenCall], watch: Watch) -> None:
        self.history, self.watch = history, watch
        self.stakes = Stakes(history.definition)
        for entry in history.entries:
            self.stakes.see(entry.event)
        named = history.definition.by_name
        self.effects = [one for one in calls if one.effect and one.step in named]
        self.standing = self._standing()

    def twice(self) -> Iterator[Flaw]:
        for key, times in Counter(one.key for one in self.effects).items():
            if times > 1:
                yield self._flaw(f"{key} took effect {times} times")

    def denied(self) -> Iterator[Flaw]:
        for step in self.standing:
            status = self.history.saga.status_of(step)
            if status in CERTAINLY_NOT_DONE and step not in self.stakes.possible:
                yield self._flaw(f"{step} took effect, and the log has it as {status}")

    def missing(self) -> Iterator[Flaw]:
        """What a participant is said to have done."""
        there = {one.step for one in self.effects if one.direction is Direction.ACTION}
        for step in self.history.definition.steps:
            told = step.name in self.stakes.done - self.stakes.vouched
            if told and self._is_watched(step) and step.name not in there:
                yield self._flaw(f"{step.name} is called done, and took no effect")

    def left_standing(self) -> Iterator[Flaw]:
        told = _told_to_stand(self.history)
        if told is not None and (left := [one for one in self.standing if one not in told]):
            yield self._flaw(
                f"{self.history.saga.state.status}, and {', '.join(left)} still stands"
            )

    def undone_or_early(self) -> Iterator[Flaw]:
        """At completion each effect is there, since its turn in the graph."""
        done: set[str] = set()
        for effect in self.effects:
            if effect.direction is Direction.COMPENSATION:
                yield self._flaw(f"completed, and {effect.step} was undone")
            done.add(effect.step)
            if early := done & self._followers(effect.step):
                yield self._flaw(f"{', '.join(sorted(early))} was done before {effect.step}")

    def _followers(self, step: str) -> set[str]:
        definition = self.history.definition
        return {one.name for one in definition.steps if step in definition.before(one.name)}

    def _standing(self) -> list[str]:
        """In the order of the definition. Who is undone by another step goes with that one."""
        standing: set[str] = set()
        for effect in self.effects:
            if effect.direction is Direction.ACTION:
                standing.add(effect.step)
            elif effect.direction is Direction.COMPENSATION:
                covered = self.history.definition.covered_by(effect.step)
                standing -= {effect.step, *(one.name for one in covered)}
        there = (one for one in self.history.definition.steps if one.name in standing)
        return [one.name for one in there if one.has_effect and not self._is_believed(one)]

    def _is_believed(self, step: Step) -> bool:
        """It was undone by somebody who is not watched."""
        undoer = self.history.definition[step.undone_by or step.name]
        unseen = undoer.name in self.stakes.vouched or not self._is_watched(undoer)
        return unseen and step.name in self.stakes.undone

    def _is_watched(self, step: Step) -> bool:
        return step.has_effect and step.participant in self.watch.participants

    def _flaw(self, detail: str) -> Flaw:
        return Flaw(self.history.version, detail)


def _told_to_stand(history: History) -> tuple[str, ...] | None:
    """What the saga says that still stands where it rests; None if it says nothing of it."""
    state = history.saga.state
    match state.status:
        case SagaStatus.COMPENSATED:
            return ()
        case SagaStatus.PARKED if state.cause is not None:
            return history.saga.not_undone
        case SagaStatus.ABANDONED:
            given_up = (one.event for one in history.entries)
            return next(one.not_undone for one in given_up if isinstance(one, SagaAbandoned))
        case _:
            return None
