"""Invariants of calls: each was recorded before it left, and is sent under one key."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from ..call_outcome import Direction, Outcome
from ..definitions.definition import Definition
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
from .history import History
from .violation import Breach, Notice

ACTION_RESULTS = (
    StepSucceeded,
    OutputNotReceived,
    StepRejected,
    StepUnknown,
    StepNotSent,
    StepBackedOff,
    StepConfirmedNotExecuted,
    StepAccepted,
)
COMPENSATION_RESULTS = (CompensationSucceeded, CompensationBackedOff, CompensationFailed)
STARTS_WORK = (StepCalled, StatusQueried, CompensationCalled, WaitStarted)
ENDS_EVERY_PAUSE = (SagaResumed, CompensationRequested, CompensationStarted, SagaAbandoned)


def intents_come_first(history: History) -> Iterator[Breach]:
    """I6. An answer is to an attempt that was recorded before it left."""
    asked = _RecordedAttempts(history.definition)
    for entry in history.entries:
        if not asked.explains(entry.event):
            yield Breach(entry.version, f"{entry} answers an attempt that was never recorded")


class _RecordedAttempts:
    """The attempts that answers may be to, by step."""

    def __init__(self, definition: Definition) -> None:
        self.definition = definition
        self.actions: set[tuple[str, int]] = set()
        self.compensations: set[tuple[str, int]] = set()

    def explains(self, event: Event) -> bool:
        match event:
            case StepCalled(step=step, attempt=attempt):
                self.actions.add((step, attempt))
            case StatusQueried(step=step, attempt=attempt):
                # A question that gets no clear answer uses the next attempt up.
                self.actions |= {(step, attempt), (step, attempt + 1)}
            case CompensationCalled(step=step, attempt=attempt):
                self.compensations.add((step, attempt))
            case StepBackedOff(step=step, attempt=attempt, outcome=Outcome.CIRCUIT_OPEN):
                self.actions.add((step, attempt))  # nothing was sent, so nothing need be recorded
            case _ if isinstance(event, ACTION_RESULTS):
                calls_nobody = self.definition[event.step].action is None
                return calls_nobody or (event.step, event.attempt) in self.actions
            case _ if isinstance(event, COMPENSATION_RESULTS):
                return (event.step, event.attempt) in self.compensations
        return True


def pauses_hold(history: History) -> Iterator[Breach]:
    """A paused saga sends nothing and waits for nothing new."""
    paused = False
    for entry in history.entries:
        event = entry.event
        paused = isinstance(event, SagaPaused) or (
            paused and not isinstance(event, ENDS_EVERY_PAUSE)
        )
        if paused and isinstance(event, STARTS_WORK):
            yield Breach(entry.version, f"{entry} in a pause")


Intent = tuple[str, Direction, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerEntry:
    """A call as its participant saw it; `effect`: it did something, and did not just answer again.

    `epoch` and `status` are missing where nobody wrote them down.
    """

    at: datetime
    participant: str
    key: str
    saga_id: str
    step: str
    direction: Direction
    attempt: int
    epoch: int | None = None
    method: str = ""
    path: str = ""
    effect: bool = False
    status: int | None = None

    def __str__(self) -> str:
        return f"the {self.direction} of {self.step}"


def calls_were_intended(history: History, calls: Sequence[LedgerEntry]) -> Iterator[Breach]:
    """I6. The epoch of a call is that of its intent, or of a later owner who repeats it."""
    intents: dict[Intent, int] = {}
    for entry in history.entries:
        if (intent := intent_of(entry.event)) is not None:
            intents.setdefault(intent, entry.epoch)
    for call in calls:
        since = intents.get((call.step, call.direction, call.attempt))
        if since is None:
            yield Breach(None, f"{call}, attempt {call.attempt}, was sent and never recorded")
        elif call.epoch is not None and call.epoch < since:
            detail = f"{call} was sent in epoch {call.epoch}, and recorded in epoch {since}"
            yield Breach(None, detail)


def keys_are_constant(history: History, calls: Sequence[LedgerEntry]) -> Iterator[Breach]:
    """I7. And what is sent under a key is always the same request."""
    first: dict[tuple[str, Direction], LedgerEntry] = {}
    for call in calls:
        if call.key != history.saga.key(call.step, call.direction):
            yield Breach(None, f"{call} was sent under the key {call.key}")
        known = first.setdefault((call.key, call.direction), call)
        if (known.method, known.path) != (call.method, call.path):
            yield Breach(None, f"{call.key} was sent with two requests")


def late_calls(calls: Sequence[LedgerEntry]) -> Iterator[Notice]:
    """What an owner who had lost the shard has sent after its heir had sent something."""
    newest = 0
    for call in calls:
        epoch = call.epoch if call.epoch is not None else newest
        if epoch < newest:
            did = "and had an effect" if call.effect else "and had no effect"
            detail = f"{call} came in epoch {epoch} after one of epoch {newest}, {did}"
            yield Notice(saga_id=call.saga_id, detail=detail)
        newest = max(newest, epoch)


def intent_of(event: Event) -> Intent | None:
    match event:
        case StepCalled(step=step, attempt=attempt):
            return step, Direction.ACTION, attempt
        case StatusQueried(step=step, attempt=attempt):
            return step, Direction.STATUS, attempt
        case CompensationCalled(step=step, attempt=attempt):
            return step, Direction.COMPENSATION, attempt
        case _:
            return None
