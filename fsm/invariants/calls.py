"""Intents and answers: nothing is heard that was not asked, and nothing is sent in a pause."""

from __future__ import annotations

from collections.abc import Iterator

from ..definition import Definition
from ..events import (
    CompensationBackedOff,
    CompensationCalled,
    CompensationFailed,
    CompensationRequested,
    CompensationStarted,
    CompensationSucceeded,
    Event,
    OutputNotReceived,
    SagaAbandoned,
    SagaPaused,
    SagaResumed,
    StatusAsked,
    StepAccepted,
    StepBackedOff,
    StepCalled,
    StepFoundNotDone,
    StepNotSent,
    StepRejected,
    StepSucceeded,
    StepUnknown,
    WaitStarted,
)
from ..outcome import Outcome
from .history import History
from .violation import Flaw

ANSWERED = (
    StepSucceeded,
    OutputNotReceived,
    StepRejected,
    StepUnknown,
    StepNotSent,
    StepBackedOff,
    StepFoundNotDone,
    StepAccepted,
)
UNDO_ANSWERED = (CompensationSucceeded, CompensationBackedOff, CompensationFailed)
SENDS = (StepCalled, StatusAsked, CompensationCalled, WaitStarted)
GOES_ON = (SagaResumed, CompensationRequested, CompensationStarted, SagaAbandoned)


def intents_come_first(history: History) -> Iterator[Flaw]:
    """I6. An answer is to an attempt that was recorded before it left."""
    asked = _Attempts(history.definition)
    for entry in history.entries:
        if not asked.allow(entry.event):
            yield Flaw(entry.version, f"{entry} answers an attempt that was never recorded")


class _Attempts:
    """The attempts that answers may be to, by step."""

    def __init__(self, definition: Definition) -> None:
        self.definition = definition
        self.actions: set[tuple[str, int]] = set()
        self.undos: set[tuple[str, int]] = set()

    def allow(self, event: Event) -> bool:
        match event:
            case StepCalled(step=step, attempt=attempt):
                self.actions.add((step, attempt))
            case StatusAsked(step=step, attempt=attempt):
                # A question that gets no clear answer uses the next attempt up.
                self.actions |= {(step, attempt), (step, attempt + 1)}
            case CompensationCalled(step=step, attempt=attempt):
                self.undos.add((step, attempt))
            case StepBackedOff(step=step, attempt=attempt, outcome=Outcome.HELD):
                self.actions.add((step, attempt))  # nothing was sent, so nothing need be recorded
            case _ if isinstance(event, ANSWERED):
                calls_nobody = self.definition[event.step].action is None
                return calls_nobody or (event.step, event.attempt) in self.actions
            case _ if isinstance(event, UNDO_ANSWERED):
                return (event.step, event.attempt) in self.undos
        return True


def pauses_hold(history: History) -> Iterator[Flaw]:
    """A paused saga sends nothing and waits for nothing new."""
    paused = False
    for entry in history.entries:
        event = entry.event
        paused = isinstance(event, SagaPaused) or (paused and not isinstance(event, GOES_ON))
        if paused and isinstance(event, SENDS):
            yield Flaw(entry.version, f"{entry} in a pause")
