"""Effects that happened or may have happened, by the log and by the ledgers of participants (I2,
R3).

The tracker reads the events alone. It uses neither `decide` nor the folded state, so that it can
find both of them wrong.
"""

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
    StatusQueried,
    StepAccepted,
    StepBackedOff,
    StepCalled,
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
    """The steps that are done, skipped and undone, and those that may have happened.

    `resolved_done` and `resolved_undone` are so by an operator's verdict alone. A step that was not
    sent may have happened if an earlier attempt may have, unless a status query says otherwise.
    """

    def __init__(self, definition: Definition) -> None:
        self.definition = definition
        self.done: set[str] = set()
        self.skipped: set[str] = set()
        self.undone: set[str] = set()
        self.resolved_done: set[str] = set()
        self.resolved_undone: set[str] = set()
        self.may_have_happened: set[str] = set()  # also what has no effect
        self._uncertain: set[str] = set()
        self._busy: set[str] = set()
        self._queried: set[str] = set()

    @property
    def possible(self) -> set[str]:
        """The steps that may have taken effect, with rejected ones that are to be compensated."""
        return {step for step in self.may_have_happened if self.definition[step].has_effect}

    @property
    def standing(self) -> set[str]:
        """The steps that must be compensated before the saga is."""
        return self.possible - self.undone

    @property
    def not_done(self) -> tuple[str, ...]:
        settled = self.done | self.skipped
        names = (step.name for step in self.definition.steps)
        return tuple(name for name in names if name not in settled)

    def apply(self, event: Event) -> None:  # noqa: C901 - a table, one line of thought an event
        match event:
            case StatusQueried(step=step):
                self._queried.add(step)
            case StepCalled(step=step) | StepAccepted(step=step):
                self._queried.discard(step)
            case StepSucceeded(step=step):
                self.done.add(step)
                self.may_have_happened.add(step)
            case StepUnknown(step=step):
                self.may_have_happened.add(step)
                self._uncertain.add(step)
            case StepRejected(step=step) if self.definition[step].child is not None:
                self.done.discard(step)  # a child is rejected once it is compensated
                self._mark_not_executed(step)
            case StepRejected(step=step):
                if self._may_have_happened(event):
                    self.may_have_happened.add(step)
            case StepBackedOff():
                self._apply_back_off(event)
            case CallbackReceived(step=step, done=True):
                self._uncertain.add(step)
            case StepNotSent(step=step) if self._was_sent_before(step):
                self.may_have_happened.add(step)
            case StepConfirmedNotExecuted(step=step) | StepNotSent(step=step):
                self._mark_not_executed(step)
            case StepSkipped(step=step):
                self.skipped.add(step)
            case StepResolved():
                self._apply_resolution(event)
            case _ if isinstance(event, UNDOES):
                self.undone.add(event.step)

    def _apply_back_off(self, event: StepBackedOff) -> None:
        self._queried.discard(event.step)
        if event.resent or event.outcome is Outcome.UNKNOWN:
            self._uncertain.add(event.step)
        elif event.outcome is Outcome.BUSY:
            self._busy.add(event.step)

    def _was_sent_before(self, step: str) -> bool:
        """True if an earlier attempt may have happened, and the latest call is no status query."""
        return step not in self._queried and step in self._uncertain | self._busy

    def _may_have_happened(self, rejected: StepRejected) -> bool:
        step = rejected.step
        is_compensated = self.definition[step].compensate_on_reject
        return is_compensated or rejected.resent or step in self._uncertain

    def _mark_not_executed(self, step: str) -> None:
        self.may_have_happened.discard(step)
        self._uncertain.discard(step)
        self._busy.discard(step)

    def _apply_resolution(self, resolved: StepResolved) -> None:
        match resolved.verdict:
            case Resolution.DONE:
                if resolved.step not in self.done:  # otherwise the verdict supplies an output
                    self.resolved_done.add(resolved.step)
                self.done.add(resolved.step)
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
    """The extent of the ledgers: the participants that record every call, and the time until which
    they do.

    A missing entry of another participant, or of a later call, means nothing. With
    `marks_every_success` the first success of a step without an effect is an effect, too.
    """

    participants: frozenset[str]
    until: datetime
    marks_every_success: bool = False


def effects_match_log(
    history: History,
    calls: Sequence[LedgerEntry],
    coverage: LedgerCoverage,
    *,
    truthful_operator: bool = False,
) -> Iterator[Breach]:
    """Invariant I2. Participants did what the log records.

    An effect happens once, and not where the log says that the step was not executed. A done step
    took effect. At completion nothing is undone, and nothing was done before its turn. A saga at
    rest names the effects that it leaves. `calls` are in the order in which they arrived.

    An operator may call a step done or undone whose ledger does not have it, since it was done by
    hand. With a `truthful_operator` the ledgers have what was done by hand, too.
    """
    effects = _LedgerEffects(history, calls, coverage, truthful_operator=truthful_operator)
    yield from effects.twice()
    yield from effects.denied()
    if history.saga.state.updated_at <= coverage.until:
        yield from effects.missing()
        yield from effects.left_standing()
        if history.saga.state.status is SagaStatus.COMPLETED:
            yield from effects.undone_or_early()


class _LedgerEffects:
    """The effects that the ledgers have, beside those that the log has."""

    def __init__(
        self,
        history: History,
        calls: Sequence[LedgerEntry],
        coverage: LedgerCoverage,
        *,
        truthful_operator: bool,
    ) -> None:
        self.history, self.coverage = history, coverage
        self.truthful_operator = truthful_operator
        self.logged = EffectTracker(history.definition)
        for entry in history.entries:
            self.logged.apply(entry.event)
        self.calls = [call for call in calls if call.step in history.definition.by_name]
        self.effects = [call for call in self.calls if call.effect]
        self.standing = self._standing()

    def twice(self) -> Iterator[Breach]:
        """Yield the keys under which an effect happened more than once."""
        for key, times in Counter(call.key for call in self.effects).items():
            if times > 1:
                yield self._breach(f"{key} took effect {times} times")

    def denied(self) -> Iterator[Breach]:
        """Yield the steps that took effect, although the log says that they did not.

        A step is skipped before it is called, so it never took effect.
        """
        effective = self._steps_called(effect=True)
        for step in self.history.definition.steps:
            status = self.history.saga.status_of(step.name)
            skipped = step.name in self.logged.skipped
            counts = self.standing if step.has_effect and not skipped else effective
            if step.name not in counts:
                continue
            if step.action is None:
                yield self._breach(f"{step.name} took effect, and calls no participant")
            elif skipped:
                yield self._breach(f"{step.name} took effect, and was skipped")
            elif self._was_certainly_not_done(step):
                yield self._breach(f"{step.name} took effect, and the log has it as {status}")

    def _was_certainly_not_done(self, step: Step) -> bool:
        status = self.history.saga.status_of(step.name)
        may_have_happened = step.name in self.logged.may_have_happened
        return status in CERTAINLY_NOT_DONE and (
            status is StepStatus.NOT_SENT or not may_have_happened
        )

    def missing(self) -> Iterator[Breach]:
        """Yield the done steps without an effect, and those without one that were not called."""
        called, effective = self._steps_called(), self._steps_called(effect=True)
        reported = set(self.logged.done)
        if not self.truthful_operator:
            reported -= self.logged.resolved_done
        for step in self.history.definition.steps:
            if step.name not in reported or not self._has_ledger(step):
                continue
            marked = step.has_effect or self.coverage.marks_every_success
            if marked and step.name not in effective:
                yield self._breach(f"{step.name} is called done, and took no effect")
            elif not marked and step.name not in called:
                yield self._breach(f"{step.name} is called done, and was never called")

    def left_standing(self) -> Iterator[Breach]:
        """Yield the effects that a saga at rest leaves, and does not name."""
        named = _reported_as_standing(self.history)
        if named is not None and (left := [step for step in self.standing if step not in named]):
            yield self._breach(
                f"{self.history.saga.state.status}, and {', '.join(left)} still stands"
            )

    def undone_or_early(self) -> Iterator[Breach]:
        """Yield the effects of a completed saga that are undone, or came before their turn."""
        done: set[str] = set()
        for effect in self.effects:
            if effect.direction is Direction.COMPENSATION:
                yield self._breach(f"completed, and {effect.step} was undone")
            done.add(effect.step)
            if early := done & self._followers(effect.step):
                yield self._breach(f"{', '.join(sorted(early))} was done before {effect.step}")

    def _followers(self, step: str) -> set[str]:
        definition = self.history.definition
        names = (other.name for other in definition.steps)
        return {name for name in names if step in definition.predecessors(name)}

    def _standing(self) -> list[str]:
        """Return the steps whose effects are not compensated, in the order of the definition.

        A step that is undone by another goes with the compensation of that one.
        """
        standing: set[str] = set()
        for effect in self.effects:
            if effect.direction is Direction.ACTION:
                standing.add(effect.step)
            elif effect.direction is Direction.COMPENSATION:
                implied = self.history.definition.compensated_with(effect.step)
                standing -= {effect.step, *(step.name for step in implied)}
        return [
            step.name
            for step in self.history.definition.steps
            if step.name in standing and step.has_effect and not self._is_undone_unseen(step)
        ]

    def _is_undone_unseen(self, step: Step) -> bool:
        """True if an operator, or a participant without a ledger, has undone the step."""
        undoer = self.history.definition[step.undone_by or step.name]
        by_hand = not self.logged.resolved_undone.isdisjoint({step.name, undoer.name})
        unseen = (by_hand and not self.truthful_operator) or not self._has_ledger(undoer)
        return unseen and step.name in self.logged.undone

    def _steps_called(self, *, effect: bool = False) -> set[str]:
        calls = self.effects if effect else self.calls
        return {call.step for call in calls if call.direction is Direction.ACTION}

    def _has_ledger(self, step: Step) -> bool:
        return step.action is not None and step.participant in self.coverage.participants

    def _breach(self, detail: str) -> Breach:
        return Breach(self.history.version, detail)


def _reported_as_standing(history: History) -> tuple[str, ...] | None:
    """Return the effects that a saga at rest reports as left; None if it reports none of them."""
    state = history.saga.state
    match state.status:
        case SagaStatus.COMPENSATED:
            return ()
        case SagaStatus.PARKED if state.cause is not None:
            return history.saga.not_undone
        case SagaStatus.ABANDONED:
            events = (entry.event for entry in history.entries)
            return next(event.not_undone for event in events if isinstance(event, SagaAbandoned))
        case _:
            return None


def uncertainty_has_a_cause(history: History, uncertain: Collection[str]) -> Iterator[Breach]:
    """Rule R3. A step counts as unknown only if a reply about it was lost, or is still to come.

    `uncertain` are the steps of which that holds; only a model of the participants knows them. Once
    an operator has abandoned the saga, no reply is awaited any more.
    """
    if any(isinstance(entry.event, SagaAbandoned) for entry in history.entries):
        return
    for entry in history.entries:
        if isinstance(entry.event, StepUnknown) and entry.event.step not in uncertain:
            detail = f"{entry.event.step} counts as unknown, and every reply about it has arrived"
            yield Breach(entry.version, detail)


def certainty_holds(history: History) -> Iterator[Breach]:
    """Rule R3. What was rejected or not sent was not executed: no truthful operator calls it done.

    Of a real log that need not hold, since participants can be wrong. About a step that calls no
    participant, an operator decides.
    """
    effects = EffectTracker(history.definition)
    for entry in history.entries:
        match entry.event:
            case StepResolved(step=step, verdict=Resolution.DONE):
                calls = history.definition[step].action is not None
                if calls and step not in effects.may_have_happened:
                    yield Breach(entry.version, f"{step} was done, and counts as not executed")
            case _:
                pass
        effects.apply(entry.event)
