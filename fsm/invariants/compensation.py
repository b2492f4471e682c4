"""The way back: when it may begin, what is undone, in which order, and what stops it."""

from __future__ import annotations

from collections.abc import Iterator

from ..definitions.definition import Definition, OnFailure
from ..events import (
    CompensationCalled,
    CompensationFailed,
    CompensationImplied,
    CompensationStarted,
    Event,
    Resolution,
    RetryRequested,
    SagaCompensated,
    SagaUnparked,
    StatusQueried,
    StepCalled,
    StepNotSent,
    StepRejected,
    StepResolved,
    StepSucceeded,
    StepUnknown,
)
from .calls import ACTION_RESULTS
from .effects import EffectTracker
from .history import History
from .violation import Breach

ENDED = (StepSucceeded, StepRejected, StepUnknown, StepNotSent)


def calls_settle_before_compensation(history: History) -> Iterator[Breach]:
    """R2. No compensation is called while an action is."""
    under_way: set[str] = set()
    for entry in history.entries:
        match entry.event:
            case StepCalled(step=step) | StatusQueried(step=step):
                under_way.add(step)
            case CompensationCalled(step=step) if under_way:
                running = ", ".join(sorted(under_way))
                yield Breach(entry.version, f"{step} is undone while {running} may still run")
            case event if isinstance(event, ACTION_RESULTS):
                under_way.discard(event.step)


def compensation_has_a_cause(history: History) -> Iterator[Breach]:
    """I3. Only what may have happened is undone, and at the end none of it stands."""
    stakes = EffectTracker(history.definition)
    for entry in history.entries:
        stakes.apply(entry.event)
        match entry.event:
            case CompensationCalled(step=step) | CompensationImplied(step=step):
                if step not in stakes.possible:
                    yield Breach(entry.version, f"{step} is undone and has nothing to undo")
            case SagaCompensated() if stakes.standing:
                left = ", ".join(sorted(stakes.standing))
                yield Breach(entry.version, f"compensated, and {left} still stands")


def compensation_runs_backwards(history: History) -> Iterator[Breach]:
    """I4. Whatever ended after a step, or comes after it in the graph, has had its turn before."""
    turns = _CompensationOrder(history.definition)
    for entry in history.entries:
        turns.apply(entry.event)
        if isinstance(entry.event, CompensationCalled):
            step = entry.event.step
            for later in turns.skipped_by(step):
                yield Breach(entry.version, f"{step} is undone before {later}, which came after it")


class _CompensationOrder:
    def __init__(self, definition: Definition) -> None:
        self.definition, self.stakes = definition, EffectTracker(definition)
        self.ended: list[str] = []
        self.failed: set[str] = set()
        self.done: set[str] = set()

    def apply(self, event: Event) -> None:
        self.stakes.apply(event)
        match event:
            case CompensationCalled(step=step):
                self.failed.discard(step)
            case CompensationFailed(step=step):
                self.failed.add(step)
            case StepSucceeded(step=step) if step in self.done:
                pass  # its output came again
            case _ if isinstance(event, ENDED):
                if isinstance(event, StepSucceeded):
                    self.done.add(event.step)
                self.ended = [*(one for one in self.ended if one != event.step), event.step]

    def skipped_by(self, step: str) -> list[str]:
        after = self.ended[self.ended.index(step) + 1 :] if step in self.ended else []
        waiting = (one for one in self.ended if self._is_uncompensated(one))
        return [one for one in waiting if one in after or step in self.definition.predecessors(one)]

    def _is_uncompensated(self, step: str) -> bool:
        at_stake = step in self.stakes.standing and step not in self.failed
        return at_stake and self.definition[step].is_compensatable


def pivots_hold(history: History) -> Iterator[Breach]:
    """I5. After a passed pivot nothing turns back.

    On the way back a person can still find out that a pivot had happened: that is not passing it.
    """
    passed, back = "", False
    for entry in history.entries:
        match entry.event:
            case StepSucceeded(step=step) if step in history.definition.pivots:
                passed = step
            case StepResolved(step=step, verdict=Resolution.DONE) if not back:
                passed = step if step in history.definition.pivots else passed
            case CompensationStarted() | CompensationCalled():
                back = True
                if passed:
                    yield Breach(entry.version, f"{entry} after the pivot {passed} was passed")


def failed_compensations_stop(history: History) -> Iterator[Breach]:
    """R5. After a failed compensation nothing else is undone, unless it may be passed over.

    What a person asks for after that begins anew.
    """
    failed: str | None = None
    for entry in history.entries:
        match entry.event:
            case SagaUnparked() | RetryRequested():
                failed = None
            case CompensationFailed(step=step):
                undo = history.definition[step].compensation
                parks = undo is not None and undo.on_failure is OnFailure.PARK
                failed = step if parks else failed
            case CompensationCalled() if failed is not None:
                yield Breach(
                    entry.version, f"{entry} after the failure of {failed}, which stops it"
                )
