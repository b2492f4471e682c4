"""What is promised of turning back: nobody who asks for it is forgotten, nor is a deadline.

R4 of the rules; how these are told is said in `promises`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from ..call_outcome import Direction, Outcome
from ..decider.reactions import RESTARTED
from ..definitions.definition import Definition
from ..events import (
    CallbackReceived,
    Cause,
    CompensationCalled,
    CompensationRequested,
    CompensationStarted,
    Event,
    Resolution,
    RetryRequested,
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
from .simulated_process import SimulatedProcess

FAILURES = (StepRejected, StepUnknown, StepNotSent)
IN_DOUBT = (Outcome.UNKNOWN, Outcome.BUSY)  # after which an action may have happened


def pivots_hold(definition: Definition, history: Sequence[Event]) -> Iterator[str]:
    """I5. After a passed pivot nothing turns back."""
    passed = False
    for event in history:
        passed = passed or _passes(definition, event)
        if passed and isinstance(event, CompensationStarted | CompensationCalled):
            yield f"{event} after a pivot"


def requests_are_followed(definition: Definition, history: Sequence[Event]) -> Iterator[str]:
    """R4. Whoever asks for the way back gets it, unless a pivot is passed first.

    Once the saga has turned, nothing goes forward; nor once it was asked to, or a step has failed,
    unless a pivot is in doubt. What failed while it was parked counts when it goes on.
    """
    asked = passed = turned = False
    failed: set[str] = set()
    pivots = _PivotDoubts(definition)
    for event in history:
        passed = passed or _passes(definition, event)
        turned = turned or isinstance(event, CompensationStarted)
        begins = isinstance(event, StepCalled | WaitStarted | SagaCompleted)
        if turned and begins:
            yield f"{event} of a saga that has turned back"
        if asked and begins and not (passed or pivots.open):
            yield f"{event}, and somebody had asked for the way back"
        if failed and begins and not (passed or pivots.open):
            yield f"{event} after a step that has failed"
        if isinstance(event, CompensationRequested) and not pivots.open:
            yield f"{event} waits for a pivot that is not in doubt"
        asked = asked or isinstance(event, CompensationRequested)
        if isinstance(event, FAILURES):
            failed.add(event.step)
        elif isinstance(event, StepCalled | StepResolved):
            failed.discard(event.step)
        pivots.hear(event)


def nothing_is_sent_again(process: SimulatedProcess) -> Iterator[str]:
    """R2. Nor is a forward call repeated after a crash if the saga goes back, or was asked to."""
    for version, call in process.resent_after_crash:
        if call.direction is not Direction.ACTION:
            continue
        back = False
        for event in process.history[:version]:
            back = back or isinstance(event, CompensationStarted | CompensationRequested)
            back = back and not _passes(process.definition, event)
        if back:
            yield f"{call.step} was sent again after a crash, and the saga goes back"


def calls_have_their_time(process: SimulatedProcess) -> Iterator[str]:
    """R2. A call that is not sent again after a crash is waited for until its timeout."""
    called: dict[str, datetime] = {}
    for row in process.log:
        match row.event:
            case StepCalled(step=step):
                called[step] = row.at
            case StepUnknown(step=step, error=why) | StepBackedOff(step=step, error=why):
                action = process.definition[step].action
                if (
                    why == RESTARTED
                    and action is not None
                    and row.at < called[step] + action.timeout
                ):
                    yield f"{row.event} at {row.at}, and it was called at {called[step]}"


def deadlines_are_kept(process: SimulatedProcess) -> Iterator[str]:
    """R4. A saga turns back for no deadline but its own, which has passed.

    After it nothing begins, unless it cannot turn back any more, or a person has asked for it.
    """
    pivots = _PivotDoubts(process.definition)
    clock = _Clock()
    asked = False
    for row in process.log:
        event = row.event
        clock.hear(event, row.at)
        asked = asked or isinstance(event, SagaUnparked | RetryRequested)
        if _is_early(event, clock.deadline, row.at):
            yield f"turned back at {row.at}, before its deadline {clock.deadline}"
        begins = isinstance(event, StepCalled | WaitStarted)
        if begins and clock.is_over(row.at) and not (asked or pivots.open):
            yield f"{event} at {row.at}, after the deadline {clock.deadline}"
        pivots.hear(event)


@dataclass(slots=True)
class _Clock:
    """The deadline of a saga, which stands still while the saga is paused."""

    deadline: datetime | None = None
    paused_at: datetime | None = None

    def hear(self, event: Event, at: datetime) -> None:
        match event:
            case SagaStarted():
                self.deadline = event.deadline
            case SagaPaused():
                self.paused_at = self.paused_at or at
            case SagaResumed() | CompensationRequested():
                self.deadline = self.deadline and self.deadline + (at - (self.paused_at or at))
                self.paused_at = None
            case _:
                pass

    def is_over(self, at: datetime) -> bool:
        return self.deadline is not None and self.deadline <= at


def _is_early(event: Event, deadline: datetime | None, at: datetime) -> bool:
    late = deadline is not None and deadline <= at
    return isinstance(event, CompensationStarted) and event.cause is Cause.DEADLINE and not late


class _PivotDoubts:
    """`open` are the pivots that are called, and those that may have happened; one that has
    succeeded stays among them."""

    def __init__(self, definition: Definition) -> None:
        self.open: set[str] = set()
        self._definition = definition
        self._doubted: set[str] = set()

    def hear(self, event: Event) -> None:
        if isinstance(event, StepEvent) and event.step in self._definition.pivots:
            self._hear(event)

    def _hear(self, event: StepEvent) -> None:
        match event:
            case StepCalled(step=step) | WaitStarted(step=step):
                self.open.add(step)
            case CallbackReceived(step=step, done=True):
                self._doubt(step)
            case StepBackedOff(step=step):
                if event.resent or event.outcome in IN_DOUBT:
                    self._doubt(step)
                elif step not in self._doubted:
                    self.open.discard(step)
            case StepConfirmedNotExecuted(step=step) | StepNotSent(step=step):
                self._deny(step)
            case StepResolved(step=step, verdict=Resolution.NOT_DONE):
                self._deny(step)
            case StepRejected(step=step) if not (event.resent or step in self._doubted):
                self.open.discard(step)
            case _:
                pass

    def _doubt(self, step: str) -> None:
        self.open.add(step)
        self._doubted.add(step)

    def _deny(self, step: str) -> None:
        self.open.discard(step)
        self._doubted.discard(step)


def _passes(definition: Definition, event: Event) -> bool:
    match event:
        case StepSucceeded(step=step) | StepResolved(step=step, verdict=Resolution.DONE):
            return step in definition.pivots
        case _:
            return False
