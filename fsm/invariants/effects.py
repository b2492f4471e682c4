"""What took or may have taken effect, by the log and by the participants' ledgers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
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
        self.resolved_done: set[str] = set()  # by an operator's verdict
        self.resolved_undone: set[str] = set()
        self.may_have_happened: set[str] = set()  # also what has no effect
        self._uncertain: set[str] = set()

    @property
    def possible(self) -> set[str]:
        """The steps whose effect may be there or have been there; a rejected one that asks for it
        is one of them."""
        return {step for step in self.may_have_happened if self.definition[step].has_effect}

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
                self.may_have_happened.add(step)
            case StepUnknown(step=step):
                self.may_have_happened.add(step)
                self._uncertain.add(step)
            case StepRejected(step=step) if self.definition[step].child is not None:
                self.done.discard(step)  # it was undone, also where it had been done before
                self._mark_not_executed(step)
            case StepRejected(step=step):
                if self._may_have_happened(event):
                    self.may_have_happened.add(step)
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
        self.may_have_happened.discard(step)
        self._uncertain.discard(step)

    def _apply_resolution(self, resolved: StepResolved) -> None:
        match resolved.verdict:
            case Resolution.DONE:
                self.done.add(resolved.step)
                self.resolved_done.add(resolved.step)
                self.may_have_happened.add(resolved.step)
            case Resolution.NOT_DONE:
                self._mark_not_executed(resolved.step)
            case Resolution.UNDONE:
                self.undone.add(resolved.step)
                self.resolved_undone.add(resolved.step)


CERTAINLY_NOT_DONE = (
    StepStatus.PENDING,
    StepStatus.SKIPPED,
    StepStatus.NOT_SENT,
    StepStatus.REJECTED,
)


@dataclass(frozen=True, slots=True)
class LedgerCoverage:
    """What the ledgers cover: the participants that write down every call, until when.

    Of other participants, and of later calls, no entry is missed. With `marks_every_success` an
    entry also has an effect where a step that declares none was done for the first time.
    """

    participants: frozenset[str]
    until: datetime
    marks_every_success: bool = False


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
        self.calls = [one for one in calls if one.step in named]
        self.effects = [one for one in self.calls if one.effect]
        self.standing = self._standing()

    def twice(self) -> Iterator[Breach]:
        for key, times in Counter(one.key for one in self.effects).items():
            if times > 1:
                yield self._flaw(f"{key} took effect {times} times")

    def denied(self) -> Iterator[Breach]:
        """Yield the steps that took effect, and of which the log says that they did not."""
        effective = self._steps_called(effect=True)
        for step in self.history.definition.steps:
            status = self.history.saga.status_of(step.name)
            took_effect = step.name in (self.standing if step.has_effect else effective)
            if took_effect and step.action is None:
                yield self._flaw(f"{step.name} took effect, and calls no participant")
            elif took_effect and self._was_certainly_not_done(step):
                yield self._flaw(f"{step.name} took effect, and the log has it as {status}")

    def _was_certainly_not_done(self, step: Step) -> bool:
        status = self.history.saga.status_of(step.name)
        return status in CERTAINLY_NOT_DONE and step.name not in self.stakes.may_have_happened

    def missing(self) -> Iterator[Breach]:
        """Yield the done steps that a ledger lacks. What has no effect was called at least."""
        called, effective = self._steps_called(), self._steps_called(effect=True)
        reported = self.stakes.done - self.stakes.resolved_done
        for step in self.history.definition.steps:
            if step.name not in reported or not self._has_ledger(step):
                continue
            marked = step.has_effect or self.watch.marks_every_success
            if marked and step.name not in effective:
                yield self._flaw(f"{step.name} is called done, and took no effect")
            elif not marked and step.name not in called:
                yield self._flaw(f"{step.name} is called done, and was never called")

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
        unseen = undoer.name in self.stakes.resolved_undone or not self._has_ledger(undoer)
        return unseen and step.name in self.stakes.undone

    def _steps_called(self, *, effect: bool = False) -> set[str]:
        calls = self.effects if effect else self.calls
        return {call.step for call in calls if call.direction is Direction.ACTION}

    def _has_ledger(self, step: Step) -> bool:
        return step.action is not None and step.participant in self.watch.participants

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


def uncertainty_has_a_cause(history: History, uncertain: Collection[str]) -> Iterator[Breach]:
    """Rule R3. A step counts as unknown only if a reply about it was lost, or is still to come.

    `uncertain` are the steps of which that holds; only a model of the participants knows them. An
    operator who abandons the saga awaits no reply any more.
    """
    if any(isinstance(entry.event, SagaAbandoned) for entry in history.entries):
        return
    for entry in history.entries:
        if isinstance(entry.event, StepUnknown) and entry.event.step not in uncertain:
            detail = f"{entry.event.step} counts as unknown, and every reply about it has arrived"
            yield Breach(entry.version, detail)
