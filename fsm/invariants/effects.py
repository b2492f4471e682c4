"""What took or may have taken effect, by the log and by the participants' ledgers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from ..call_outcome import Direction, Outcome
from ..definitions.definition import Definition, Step
from ..events import (
    CallbackReceived,
    CompensationImplied,
    CompensationSucceeded,
    Event,
    Resolution,
    SagaAbandoned,
    StepBackedOff,
    StepConfirmedNotExecuted,
    StepNotSent,
    StepRejected,
    StepResolved,
    StepSkipped,
    StepSucceeded,
    StepUnknown,
)
from ..machines import SagaStatus, StepStatus
from .calls import LedgerEntry
from .history import History
from .violation import Breach

UNDOES = (CompensationSucceeded, CompensationImplied)


class EffectTracker:
    """`done` and `skipped` are as they were told; `undone` by a call, or by a person."""

    def __init__(self, definition: Definition) -> None:
        self.definition = definition
        self.done: set[str] = set()
        self.skipped: set[str] = set()
        self.undone: set[str] = set()
        self.vouched: set[str] = set()  # done or undone on the word of a person
        self._possible: set[str] = set()
        self._uncertain: set[str] = set()

    @property
    def possible(self) -> set[str]:
        """The steps whose effect may be there or have been there; a rejected one that asks for it
        is one of them."""
        return {step for step in self._possible if self.definition[step].has_effect}

    @property
    def standing(self) -> set[str]:
        """Those that would have to be undone to go back."""
        return self.possible - self.undone

    @property
    def not_done(self) -> tuple[str, ...]:
        settled = self.done | self.skipped
        names = (step.name for step in self.definition.steps)
        return tuple(name for name in names if name not in settled)

    def apply(self, event: Event) -> None:  # noqa: C901 - a table, one line of thought an event
        match event:
            case StepSucceeded(step=step):
                self.done.add(step)
                self._possible.add(step)
            case StepUnknown(step=step):
                self._possible.add(step)
                self._uncertain.add(step)
            case StepRejected(step=step) if self.definition[step].child is not None:
                self.done.discard(step)  # it was undone, also where it had been done before
                self._mark_not_executed(step)
            case StepRejected(step=step):
                if self._may_have_happened(event):
                    self._possible.add(step)
            case StepBackedOff(step=step) if event.resent or event.outcome is Outcome.UNKNOWN:
                self._uncertain.add(step)
            case CallbackReceived(step=step, done=True):
                self._uncertain.add(step)
            case StepConfirmedNotExecuted(step=step) | StepNotSent(step=step):
                self._mark_not_executed(step)
            case StepSkipped(step=step):
                self.skipped.add(step)
            case StepResolved():
                self._apply_resolution(event)
            case _ if isinstance(event, UNDOES):
                self.undone.add(event.step)

    def _may_have_happened(self, rejected: StepRejected) -> bool:
        step = rejected.step
        asks = self.definition[step].compensate_on_reject
        return asks or rejected.resent or step in self._uncertain

    def _mark_not_executed(self, step: str) -> None:
        self._possible.discard(step)
        self._uncertain.discard(step)

    def _apply_resolution(self, resolved: StepResolved) -> None:
        self.vouched.add(resolved.step)
        match resolved.verdict:
            case Resolution.DONE:
                self.done.add(resolved.step)
                self._possible.add(resolved.step)
            case Resolution.NOT_DONE:
                self._mark_not_executed(resolved.step)
            case Resolution.UNDONE:
                self.undone.add(resolved.step)


CERTAINLY_NOT_DONE = (
    StepStatus.PENDING,
    StepStatus.SKIPPED,
    StepStatus.NOT_SENT,
    StepStatus.REJECTED,
)


@dataclass(frozen=True, slots=True)
class LedgerCoverage:
    """The participants that write down all that they are called for, and `until` when that was
    read: of others, and after that, nothing is missed."""

    participants: frozenset[str]
    until: datetime


def effects_match_log(
    history: History, calls: Sequence[LedgerEntry], watch: LedgerCoverage
) -> Iterator[Breach]:
    """`calls` are in the order in which they came."""
    effects = _LedgerEffects(history, calls, watch)
    yield from effects.twice()
    yield from effects.denied()
    if history.saga.state.updated_at <= watch.until:
        yield from effects.missing()
        yield from effects.left_standing()
        if history.saga.state.status is SagaStatus.COMPLETED:
            yield from effects.undone_or_early()


class _LedgerEffects:
    def __init__(
        self, history: History, calls: Sequence[LedgerEntry], watch: LedgerCoverage
    ) -> None:
        self.history, self.watch = history, watch
        self.stakes = EffectTracker(history.definition)
        for entry in history.entries:
            self.stakes.apply(entry.event)
        named = history.definition.by_name
        self.effects = [one for one in calls if one.effect and one.step in named]
        self.standing = self._standing()

    def twice(self) -> Iterator[Breach]:
        for key, times in Counter(one.key for one in self.effects).items():
            if times > 1:
                yield self._flaw(f"{key} took effect {times} times")

    def denied(self) -> Iterator[Breach]:
        for step in self.standing:
            status = self.history.saga.status_of(step)
            if status in CERTAINLY_NOT_DONE and step not in self.stakes.possible:
                yield self._flaw(f"{step} took effect, and the log has it as {status}")

    def missing(self) -> Iterator[Breach]:
        """What a participant is said to have done."""
        there = {one.step for one in self.effects if one.direction is Direction.ACTION}
        for step in self.history.definition.steps:
            told = step.name in self.stakes.done - self.stakes.vouched
            if told and self._is_watched(step) and step.name not in there:
                yield self._flaw(f"{step.name} is called done, and took no effect")

    def left_standing(self) -> Iterator[Breach]:
        told = _reported_as_standing(self.history)
        if told is not None and (left := [one for one in self.standing if one not in told]):
            yield self._flaw(
                f"{self.history.saga.state.status}, and {', '.join(left)} still stands"
            )

    def undone_or_early(self) -> Iterator[Breach]:
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
        return {one.name for one in definition.steps if step in definition.predecessors(one.name)}

    def _standing(self) -> list[str]:
        """In the order of the definition. Who is undone by another step goes with that one."""
        standing: set[str] = set()
        for effect in self.effects:
            if effect.direction is Direction.ACTION:
                standing.add(effect.step)
            elif effect.direction is Direction.COMPENSATION:
                covered = self.history.definition.compensated_with(effect.step)
                standing -= {effect.step, *(one.name for one in covered)}
        there = (one for one in self.history.definition.steps if one.name in standing)
        return [one.name for one in there if one.has_effect and not self._is_undone_unseen(one)]

    def _is_undone_unseen(self, step: Step) -> bool:
        """It was undone by somebody who is not watched."""
        undoer = self.history.definition[step.undone_by or step.name]
        unseen = undoer.name in self.stakes.vouched or not self._is_watched(undoer)
        return unseen and step.name in self.stakes.undone

    def _is_watched(self, step: Step) -> bool:
        return step.has_effect and step.participant in self.watch.participants

    def _flaw(self, detail: str) -> Breach:
        return Breach(self.history.version, detail)


def _reported_as_standing(history: History) -> tuple[str, ...] | None:
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
