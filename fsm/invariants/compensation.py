"""Invariants of compensation: after what, of which steps, in which order, and how often."""

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
SETTLED = (*ENDED, OutputNotReceived)
CANNOT_BE_CALLED = "cannot be called"  # in the reason of a parked saga


def calls_settle_before_compensation(history: History) -> Iterator[Breach]:
    """Rule R2. A compensation is called only once the outcome of every step that began is known.

    A step that is called, queried, waited for or about to be tried again is unsettled: it may still
    take effect after the compensations of the other steps. No saga is compensated over such a step.
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
        elif isinstance(event, SagaCompensated) and unsettled:
            running = ", ".join(sorted(unsettled))
            yield Breach(entry.version, f"compensated while {running} may still run")


def compensation_has_a_cause(history: History) -> Iterator[Breach]:
    """Invariant I3. Only steps that may have taken effect are compensated, and at the end no effect
    is left. No step is compensated before the compensation of the saga has started.
    """
    effects, started = EffectTracker(history.definition), False
    for entry in history.entries:
        effects.apply(entry.event)
        match entry.event:
            case CompensationStarted():
                started = True
            case CompensationCalled(step=step) | CompensationImplied(step=step):
                if not started:
                    yield Breach(entry.version, f"{step} is undone, and the saga goes forward")
                if step not in effects.possible:
                    yield Breach(entry.version, f"{step} is undone and has nothing to undo")
            case SagaCompensated() if effects.standing:
                left = ", ".join(sorted(effects.standing))
                yield Breach(entry.version, f"compensated, and {left} still stands")


def compensation_runs_backwards(history: History) -> Iterator[Breach]:
    """Invariant I4. The step that ended last is compensated first, along the graph.

    Before a step is compensated, the steps that ended after it or follow it are, or have failed to
    be.
    """
    order = _CompensationOrder(history.definition)
    for entry in history.entries:
        order.apply(entry.event)
        if isinstance(entry.event, CompensationCalled):
            step = entry.event.step
            for later in order.skipped_by(step):
                yield Breach(entry.version, f"{step} is undone before {later}, which came after it")


class _CompensationOrder:
    """The steps in the order in which they ended, and those that are still to be compensated."""

    def __init__(self, definition: Definition) -> None:
        self.definition, self.effects = definition, EffectTracker(definition)
        self.ended: list[str] = []
        self.failed: set[str] = set()
        self.done: set[str] = set()

    def apply(self, event: Event) -> None:
        self.effects.apply(event)
        match event:
            case CompensationCalled(step=step):
                self.failed.discard(step)
            case CompensationFailed(step=step):
                self.failed.add(step)
            case StepSucceeded(step=step) if step in self.done:
                pass  # its call was repeated for its output
            case _ if isinstance(event, ENDED):
                if isinstance(event, StepSucceeded):
                    self.done.add(event.step)
                self.ended = [*(step for step in self.ended if step != event.step), event.step]

    def skipped_by(self, step: str) -> list[str]:
        """Return the steps that should have been compensated before this one."""
        later = self.ended[self.ended.index(step) + 1 :] if step in self.ended else []
        return [
            other
            for other in self.ended
            if other in later or step in self.definition.predecessors(other)
            if self._is_uncompensated(other)
        ]

    def _is_uncompensated(self, step: str) -> bool:
        stands = step in self.effects.standing and step not in self.failed
        return stands and self.definition[step].is_compensatable


def failed_compensations_stop(history: History) -> Iterator[Breach]:
    """Rule R5. A failed compensation stops the others, unless its policy is to continue.

    A failed compensation of a child saga stops them, too. After an operator's retry they go on.
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
    """Rule R5. Where the policy of every failed compensation is to continue, only these are left.

    Before such a saga parks, the compensation of every other step was tried, unless the request of
    one of them cannot be made.
    """
    effects, back = EffectTracker(history.definition), False
    failed: set[str] = set()
    for entry in history.entries:
        effects.apply(entry.event)
        match entry.event:
            case CompensationStarted():
                back = True
            case CompensationFailed(step=step):
                failed.add(step)
            case SagaParked(reason=reason) if back and CANNOT_BE_CALLED not in reason:
                if all(_is_passed_over(history.definition, step) for step in failed):
                    yield from _untried(entry, history.definition, effects, failed)


def _untried(
    parked: HistoryEntry, definition: Definition, effects: EffectTracker, failed: set[str]
) -> Iterator[Breach]:
    standing = {step for step in effects.standing if definition[step].compensation is not None}
    if untried := ", ".join(sorted(standing - failed)):
        yield Breach(parked.version, f"parked before the compensation of {untried} was tried")


def _is_passed_over(definition: Definition, step: str) -> bool:
    compensation = definition[step].compensation
    return compensation is not None and compensation.on_failure is OnFailure.CONTINUE


def compensations_keep_to_their_attempts(history: History) -> Iterator[Breach]:
    """Rule R5. A compensation is tried at most as often as its retry policy allows.

    Replies that consume no attempt (busy, throttled) do not count. A child saga is called once.
    """
    for entry, tried in _tries(history):
        match entry.event:
            case CompensationBackedOff(step=step, outcome=outcome):
                is_last = tried >= _max_attempts(history.definition, step)
                if is_last and outcome not in DOES_NOT_CONSUME_ATTEMPT:
                    detail = f"{step} is to be compensated once more after {tried} attempts"
                    yield Breach(entry.version, detail)
            case _:
                pass


def compensations_use_their_attempts(
    history: History, was_refused: Callable[[str, int], bool]
) -> Iterator[Breach]:
    """Rule R5. A compensation is given up before its last attempt only if it was refused.

    Only participants know `was_refused(step, attempt)`. An operator may abandon a saga at any time.
    """
    if any(isinstance(entry.event, SagaAbandoned) for entry in history.entries):
        return
    for entry, tried in _tries(history):
        match entry.event:
            case CompensationFailed(step=step, attempt=attempt):
                is_last = tried >= _max_attempts(history.definition, step)
                if not (is_last or was_refused(step, attempt)):
                    detail = f"the compensation of {step} was given up after attempt {tried}"
                    yield Breach(entry.version, detail)
            case _:
                pass


def _tries(history: History) -> Iterator[tuple[HistoryEntry, int]]:
    """Yield each negative result of a compensation with the number of attempts made so far."""
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


def _max_attempts(definition: Definition, step: str) -> float:
    compensation = definition[step].compensation
    attempts = 1 if compensation is None else compensation.retry.attempts
    return inf if attempts is None else attempts
