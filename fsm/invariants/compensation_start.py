"""Invariants of when compensation starts, and when not: pivots, requests, deadlines (I5, R4)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from ..call_outcome import Outcome
from ..definitions.definition import Definition
from ..events import (
    CallbackReceived,
    Cause,
    CompensationCalled,
    CompensationRequested,
    CompensationStarted,
    Event,
    Resolution,
    SagaCompleted,
    SagaPaused,
    SagaResumed,
    SagaStarted,
    SagaUnparked,
    StepBackedOff,
    StepCalled,
    StepConfirmedNotExecuted,
    StepEvent,
    StepNotSent,
    StepRejected,
    StepResolved,
    StepSucceeded,
    StepUnknown,
    WaitStarted,
)
from ..step_state import DOES_NOT_CONSUME_ATTEMPT
from .calls import passes_pivot
from .history import History, HistoryEntry
from .violation import Breach


def pivots_hold(history: History, *, truthful_operator: bool = False) -> Iterator[Breach]:
    """Invariant I5. After a passed pivot nothing is compensated.

    While a saga is compensated, an operator can still say that a pivot had happened, against the
    word of its participant. That does not pass it, except with a `truthful_operator`: then nothing
    should have been compensated.
    """
    passed, compensates = "", False
    for entry in history.entries:
        counts = truthful_operator or not compensates
        match entry.event:
            case StepSucceeded(step=step) if step in history.definition.pivots:
                passed = step
            case StepResolved(step=step, verdict=Resolution.DONE) if counts:
                passed = step if step in history.definition.pivots else passed
            case CompensationStarted() | CompensationCalled():
                compensates = True
                if passed:
                    yield Breach(entry.version, f"{entry} after the pivot {passed} was passed")


def requests_and_failures_turn_back(history: History) -> Iterator[Breach]:
    """Rule R4. Before a pivot has passed, a failed step or a request starts the compensation.

    Nothing forward begins after that, unless a pivot is uncertain: its outcome decides, and until
    then no compensation starts. A request waits for nothing else. A step that failed while the saga
    was parked counts when it goes on.
    """
    requested = passed = turned = False
    failed: set[str] = set()
    pivots = _UncertainPivots(history.definition)
    for entry in history.entries:
        event = entry.event
        passed = passed or passes_pivot(history.definition, event)
        turned = turned or isinstance(event, CompensationStarted)
        begins = isinstance(event, StepCalled | WaitStarted | SagaCompleted)
        may_begin = passed or bool(pivots.open)
        if isinstance(event, CompensationStarted) and pivots.open and not passed:
            uncertain = ", ".join(sorted(pivots.open))
            yield Breach(entry.version, f"{entry}, and the pivot {uncertain} is uncertain")
        if turned and begins:
            yield Breach(entry.version, f"{entry} after the compensation has started")
        if requested and begins and not may_begin:
            yield Breach(entry.version, f"{entry}, and compensation was requested")
        if failed and begins and not may_begin:
            yield Breach(entry.version, f"{entry} after the failure of {', '.join(sorted(failed))}")
        if isinstance(event, CompensationRequested):
            requested = True
            if not pivots.open:
                yield Breach(entry.version, f"{entry} waits for a pivot that is not uncertain")
        _count_failures(failed, event)
        pivots.apply(event)


def _count_failures(failed: set[str], event: Event) -> None:
    match event:
        case StepRejected() | StepUnknown() | StepNotSent():
            failed.add(event.step)
        case StepResolved(verdict=Resolution.NOT_DONE):
            failed.add(event.step)
        case StepCalled() | StepResolved():
            failed.discard(event.step)
        case _:
            pass


def deadlines_hold(history: History) -> Iterator[Breach]:
    """Rule R4. A deadline starts the compensation once it has passed, and not before.

    After the deadline nothing begins, unless a pivot is uncertain or has passed. The deadline is
    put off by as long as the saga is paused, and lifted if an operator unparks the saga after it.
    Repeated calls whose time is not in the log are not judged.
    """
    pivots, clock, passed = _UncertainPivots(history.definition), _DeadlineClock(), False
    before = history.entries[0]
    for entry in history.entries:
        event, at = entry.event, entry.recorded_at
        clock.apply(event, at)
        passed = passed or passes_pivot(history.definition, event)
        turns = isinstance(event, CompensationStarted) and event.cause is Cause.DEADLINE
        if turns and not clock.is_over(at):
            yield Breach(
                entry.version, f"compensated at {at}, before its deadline {clock.deadline}"
            )
        begins = isinstance(event, StepCalled | WaitStarted)
        begins = begins and not _may_have_left_earlier(before, entry)
        if begins and clock.is_over(at) and not (passed or pivots.open):
            yield Breach(entry.version, f"{entry} at {at}, after the deadline {clock.deadline}")
        pivots.apply(event)
        before = entry


def _may_have_left_earlier(before: HistoryEntry, entry: HistoryEntry) -> bool:
    """True of a repeated call that may have left at another time than it was recorded.

    A repetition without news is recorded with the next event of the saga, right after the back-off
    that it follows, and both get the time of that event. One that is recorded when it leaves has
    its own time, later than that of its back-off.
    """
    if before.recorded_at != entry.recorded_at:
        return False
    match before.event, entry.event:
        case StepBackedOff() as back_off, StepCalled(step=step, attempt=attempt):
            repeats = (back_off.step, back_off.attempt) == (step, attempt)
            return repeats and back_off.outcome in DOES_NOT_CONSUME_ATTEMPT
        case _:
            return False


@dataclass(slots=True)
class _DeadlineClock:
    """The deadline of a saga, as its events move it."""

    deadline: datetime | None = None
    _paused_at: datetime | None = None
    _pauses: frozenset[bool] = frozenset()  # True: the parent's, False: the operator's

    def apply(self, event: Event, at: datetime) -> None:
        match event:
            case SagaStarted():
                self.deadline = event.deadline
            case SagaPaused(by_parent=by_parent):
                self._paused_at = self._paused_at or at
                self._pauses |= {by_parent}
            case SagaResumed(by_parent=by_parent):
                self._resume(self._pauses - {by_parent}, at)
            case CompensationRequested():
                self._resume(frozenset(), at)
            case SagaUnparked() if self.is_over(at):
                self.deadline = None
            case _:
                pass

    def is_over(self, at: datetime) -> bool:
        return self.deadline is not None and self.deadline <= at

    def _resume(self, pauses: frozenset[bool], at: datetime) -> None:
        self._pauses = pauses
        if not pauses and self._paused_at is not None:
            self.deadline = self.deadline and self.deadline + (at - self._paused_at)
            self._paused_at = None


class _UncertainPivots:
    """The pivots whose outcome decides whether the saga may be compensated.

    `open` are those that are called, waited for or may have happened. A pivot that has succeeded
    stays among them. A rejection settles a busy attempt, and no unknown one, and not the one of a
    call that a crash interrupted and that was sent again: the first may have taken effect.
    """

    def __init__(self, definition: Definition) -> None:
        self.open: set[str] = set()
        self._definition = definition
        self._uncertain: set[str] = set()
        self._busy: set[str] = set()

    def apply(self, event: Event) -> None:
        if isinstance(event, StepEvent) and event.step in self._definition.pivots:
            self._apply(event)

    def _apply(self, event: StepEvent) -> None:
        match event:
            case StepCalled(step=step) | WaitStarted(step=step):
                self.open.add(step)
            case CallbackReceived(step=step, done=True) | StepUnknown(step=step):
                self._mark_uncertain(step)
            case StepBackedOff(step=step) if event.resent or event.outcome is Outcome.UNKNOWN:
                self._mark_uncertain(step)
            case StepRejected(step=step, resent=True):
                self._mark_uncertain(step)
            case StepBackedOff(step=step, outcome=Outcome.BUSY):
                self.open.add(step)
                self._busy.add(step)
            case StepBackedOff(step=step) if step not in self._uncertain | self._busy:
                self.open.discard(step)
            case StepConfirmedNotExecuted(step=step) | StepNotSent(step=step):
                self._mark_not_executed(step)
            case StepResolved(step=step, verdict=Resolution.NOT_DONE):
                self._mark_not_executed(step)
            case StepRejected(step=step) if step not in self._uncertain:
                self.open.discard(step)
            case _:
                pass

    def _mark_uncertain(self, step: str) -> None:
        self.open.add(step)
        self._uncertain.add(step)

    def _mark_not_executed(self, step: str) -> None:
        self.open.discard(step)
        self._uncertain.discard(step)
        self._busy.discard(step)
