"""What is promised of turning back: nobody who asks for it is forgotten, nor is a deadline.

R4 of the rules; how these are told is said in `promises`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from ..definition import Definition
from ..events import (
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
    StepCalled,
    StepNotSent,
    StepRejected,
    StepResolved,
    StepSucceeded,
    WaitStarted,
)
from .process import Process


def pivots_hold(definition: Definition, history: Sequence[Event]) -> Iterator[str]:
    """I5. After a passed pivot nothing turns back."""
    passed = False
    for event in history:
        passed = passed or _passes(definition, event)
        if passed and isinstance(event, CompensationStarted | CompensationCalled):
            yield f"{event} after a pivot"


def requests_are_followed(definition: Definition, history: Sequence[Event]) -> Iterator[str]:
    """R4. Whoever asks for the way back gets it, unless a pivot is passed first.

    Once the saga has turned, nothing goes forward.
    """
    asked = turned = False
    for event in history:
        asked = asked or isinstance(event, CompensationRequested)
        asked = asked and not _passes(definition, event)
        turned = turned or isinstance(event, CompensationStarted)
        begins = isinstance(event, StepCalled | WaitStarted | SagaCompleted)
        if turned and begins:
            yield f"{event} of a saga that has turned back"
        if asked and isinstance(event, SagaCompleted):
            yield "completed, and somebody had asked for the way back"


def deadlines_are_kept(process: Process) -> Iterator[str]:
    """R4. A saga turns back for no deadline but its own, which has passed.

    After it nothing begins, unless it cannot turn back any more, or a person has asked for it.
    """
    open_pivots: set[str] = set()
    clock = _Clock()
    asked = False
    for row in process.log:
        event = row.event
        clock.hear(event, row.at)
        asked = asked or isinstance(event, SagaUnparked | RetryRequested)
        if _is_early(event, clock.deadline, row.at):
            yield f"turned back at {row.at}, before its deadline {clock.deadline}"
        begins = isinstance(event, StepCalled | WaitStarted)
        if begins and clock.is_over(row.at) and not (asked or open_pivots):
            yield f"{event} at {row.at}, after the deadline {clock.deadline}"
        _follow_pivot(process.definition, event, open_pivots)


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


def _follow_pivot(definition: Definition, event: Event, open_pivots: set[str]) -> None:
    """Pivots that were called, and are not known to have failed."""
    match event:
        case StepCalled(step=step) if step in definition.pivots:
            open_pivots.add(step)
        case StepRejected(step=step) | StepNotSent(step=step):
            open_pivots.discard(step)
        case _:
            pass


def _passes(definition: Definition, event: Event) -> bool:
    match event:
        case StepSucceeded(step=step) | StepResolved(step=step, verdict=Resolution.DONE):
            return step in definition.pivots
        case _:
            return False
