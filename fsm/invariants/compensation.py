"""The way back: when it may begin, what is undone, in which order, and what stops it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from math import inf

from ..definitions.definition import Definition, OnFailure
from ..events import (
    CompensationBackedOff,
    CompensationCalled,
    CompensationFailed,
    CompensationImplied,
    CompensationStarted,
    Event,
    OutputNotReceived,
    Resolution,
    RetryRequested,
    SagaAbandoned,
    SagaCompensated,
    SagaParked,
    SagaUnparked,
    StatusQueried,
    StepAccepted,
    StepBackedOff,
    StepCalled,
    StepConfirmedNotExecuted,
    StepNotSent,
    StepRejected,
    StepResolved,
    StepSucceeded,
    StepUnknown,
    WaitStarted,
)
from ..step_state import DOES_NOT_CONSUME_ATTEMPT
from .effects import EffectTracker
from .history import History, HistoryEntry
from .violation import Breach

ENDED = (StepSucceeded, StepRejected, StepUnknown, StepNotSent)
UNSETTLED = (
    StepCalled,
    StatusQueried,
    StepAccepted,
    StepBackedOff,
    StepConfirmedNotExecuted,
    WaitStarted,
)
SETTLED = (*ENDED, OutputNotReceived, StepResolved)
CANNOT_BE_CALLED = "cannot be called"  # in the reason of a parked saga


def calls_settle_before_compensation(history: History) -> Iterator[Breach]:
    """Rule R2. A compensation is called only once the outcome of every step that began is known.

    A step that is being called, asked about, waited for or about to be tried again is unsettled:
    its call may still take effect after the compensations of the other steps.
    """
    unsettled: set[str] = set()
    for entry in history.entries:
        event = entry.event
        if isinstance(event, UNSETTLED):
            unsettled.add(event.step)
        elif isinstance(event, SETTLED):
            unsettled.discard(event.step)
        elif isinstance(event, CompensationCalled) and unsettled:
            running = ", ".join(sorted(unsettled))
            yield Breach(entry.version, f"{event.step} is undone while {running} may still run")


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
    """Rule R5. A failed compensation whose policy is to park stops the others.

    The policy of a child saga is to park. After an operator's retry the others may go on.
    """
    failed: str | None = None
    for entry in history.entries:
        match entry.event:
            case SagaUnparked() | RetryRequested():
                failed = None
            case CompensationFailed(step=step):
                failed = failed if _is_passed_over(history.definition, step) else step
            case CompensationCalled() if failed is not None:
                yield Breach(
                    entry.version, f"{entry} after the failure of {failed}, which stops it"
                )


def failed_compensations_are_passed_over(history: History) -> Iterator[Breach]:
    """Rule R5. Where every failed compensation may be passed over, only those steps are left.

    Before such a saga parks, it has tried to compensate all other steps that are at stake, unless
    the compensation of one of them cannot be called.
    """
    stakes, back = EffectTracker(history.definition), False
    failed: set[str] = set()
    for entry in history.entries:
        stakes.apply(entry.event)
        match entry.event:
            case CompensationStarted():
                back = True
            case CompensationFailed(step=step):
                failed.add(step)
            case SagaParked(reason=reason) if back and CANNOT_BE_CALLED not in reason:
                if all(_is_passed_over(history.definition, step) for step in failed):
                    yield from _untried(entry, history.definition, stakes, failed)


def _untried(
    parked: HistoryEntry, definition: Definition, stakes: EffectTracker, failed: set[str]
) -> Iterator[Breach]:
    at_stake = {step for step in stakes.standing if definition[step].compensation is not None}
    if untried := sorted(at_stake - failed):
        yield Breach(parked.version, f"parked before the undo of {', '.join(untried)} was tried")


def _is_passed_over(definition: Definition, step: str) -> bool:
    compensation = definition[step].compensation
    return compensation is not None and compensation.on_failure is OnFailure.CONTINUE


def compensations_keep_to_their_attempts(history: History) -> Iterator[Breach]:
    """Rule R5. A compensation is tried at most as often as its retry policy allows.

    Replies that use no attempt up (busy, throttled) do not count. A child saga is asked once.
    """
    for entry, tried in _tries(history):
        match entry.event:
            case CompensationBackedOff(step=step, outcome=outcome):
                if outcome not in DOES_NOT_CONSUME_ATTEMPT and tried >= _attempts(
                    history.definition, step
                ):
                    detail = f"{step} is to be undone once more after {tried} attempts"
                    yield Breach(entry.version, detail)
            case _:
                pass


def compensations_use_their_attempts(
    history: History, was_refused: Callable[[str, int], bool]
) -> Iterator[Breach]:
    """Rule R5. A compensation is given up before its last attempt only if it was refused.

    `was_refused(step, attempt)` is known by the participants alone. An operator who abandons the
    saga gives it up at any time.
    """
    if any(isinstance(entry.event, SagaAbandoned) for entry in history.entries):
        return
    for entry, tried in _tries(history):
        match entry.event:
            case CompensationFailed(step=step, attempt=attempt):
                is_last = tried >= _attempts(history.definition, step)
                if not (is_last or was_refused(step, attempt)):
                    detail = f"the undo of {step} was given up after {tried} attempts"
                    yield Breach(entry.version, detail)
            case _:
                pass


def _tries(history: History) -> Iterator[tuple[HistoryEntry, int]]:
    """Yield each negative answer to a compensation with the number of attempts used so far."""
    tried: Counter[str] = Counter()
    for entry in history.entries:
        match entry.event:
            case CompensationBackedOff(step=step, outcome=outcome):
                tried[step] += outcome not in DOES_NOT_CONSUME_ATTEMPT
                yield entry, tried[step]
            case CompensationFailed(step=step):
                yield entry, tried[step] + 1
                tried[step] = 0
            case _:
                pass


def _attempts(definition: Definition, step: str) -> float:
    compensation = definition[step].compensation
    attempts = 1 if compensation is None else compensation.retry.attempts
    return inf if attempts is None else attempts
