"""Invariants of sagas at rest: nothing follows an end, and what they report is true (I1, I2)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from ..definitions.definition import Definition
from ..events import (
    CallbackReceived,
    CompensationFailed,
    CompensationStarted,
    CompletionWebhookDelivered,
    Event,
    ForwardedInputApplied,
    LateReplyIgnored,
    OutputNotReceived,
    SagaAbandoned,
    SagaCompensated,
    SagaCompleted,
    SagaEvent,
    SagaParked,
    SagaUnparked,
    StepAccepted,
    StepBackedOff,
    StepConfirmedNotExecuted,
    StepEvent,
    StepNotSent,
    StepRejected,
    StepResolved,
    StepSkipped,
    StepSucceeded,
    StepUnknown,
    WaitStarted,
)
from .effects import EffectTracker
from .history import History, HistoryEntry
from .violation import Breach

ENDS = (SagaCompleted, SagaCompensated, SagaAbandoned)
ENDS_PARKING = (SagaUnparked, SagaAbandoned, CompensationStarted)
BACKS_OFF = (StepBackedOff, StepConfirmedNotExecuted)
# Recorded by the command of an operator before the saga is unparked or abandoned.
OPERATOR_DECISIONS: Mapping[type[SagaEvent], tuple[type[Event], ...]] = {
    SagaUnparked: (StepResolved, StepSkipped),
    SagaAbandoned: (StepUnknown, StepNotSent, OutputNotReceived, CompensationFailed),
}
CHANGES_NOTHING = (CompletionWebhookDelivered, LateReplyIgnored, ForwardedInputApplied)


def final_states_absorb(history: History) -> Iterator[Breach]:
    """Invariant I1. Nothing follows an end but what changes nothing.

    A completed saga can be compensated on request; then it goes on.
    """
    end: HistoryEntry | None = None
    for entry in history.entries:
        reopens = isinstance(entry.event, CompensationStarted)
        if end is not None and not isinstance(entry.event, CHANGES_NOTHING):
            if not (reopens and isinstance(end.event, SagaCompleted)):
                yield Breach(entry.version, f"{entry} follows {end}")
            end = None
        end = entry if isinstance(entry.event, ENDS) else end


def rest_report_is_true(history: History) -> Iterator[Breach]:
    """Invariant I2. A completed saga has done all its steps, or skipped them.

    A parked or abandoned saga names exactly the steps that are not done or, once it compensates,
    not undone.
    """
    effects, back = EffectTracker(history.definition), False
    for entry in history.entries:
        effects.apply(entry.event)
        back = back or isinstance(entry.event, CompensationStarted)
        if isinstance(entry.event, SagaEvent):
            for statement in _false_statements(entry.event, effects, back=back):
                yield Breach(entry.version, statement)


def _false_statements(event: SagaEvent, effects: EffectTracker, *, back: bool) -> Iterator[str]:
    match event:
        case SagaCompleted():
            if missing := effects.not_done:
                yield f"completed without {', '.join(missing)}"
        case SagaParked() if back:
            yield from _difference("parked", "undone", event.not_undone, effects.standing)
        case SagaParked():
            yield from _difference("parked", "done", event.not_done, set(effects.not_done))
            if event.not_done != effects.not_done and {*event.not_done} == {*effects.not_done}:
                yield "parked with the steps that are not done in another order than defined"
        case SagaAbandoned():
            not_done = () if back else effects.not_done
            yield from _difference("abandoned", "done", event.not_done, set(not_done))
            yield from _difference("abandoned", "undone", event.not_undone, effects.standing)


def _difference(rest: str, what: str, named: tuple[str, ...], true: set[str]) -> Iterator[str]:
    if set(named) != true:
        actual, expected = ", ".join(named) or "nothing", ", ".join(sorted(true)) or "nothing"
        yield f"{rest} with {actual} not {what}, but it is {expected}"


def parked_sagas_rest(history: History) -> Iterator[Breach]:
    """Invariant I2. Until an operator decides, nothing new is recorded of a parked saga.

    What it had begun before may end: a step that was accepted, and a child saga. A step that backs
    off may be reported by a callback. What changes nothing is recorded, too.
    """
    parked, moves = False, list[HistoryEntry]()
    latest: dict[str, StepEvent] = {}
    for entry in history.entries:
        event = entry.event
        if isinstance(event, SagaParked):
            parked = True
        elif isinstance(event, ENDS_PARKING):
            decided = OPERATOR_DECISIONS.get(type(event), ())
            yield from _moves_while_parked(moves, decided)
            parked, moves = False, []
        elif parked and not _was_begun_before(history.definition, latest, event):
            moves.append(entry)
        if isinstance(event, StepEvent) and not isinstance(event, CHANGES_NOTHING):
            latest[event.step] = event
    yield from _moves_while_parked(moves, ())


def _was_begun_before(
    definition: Definition, latest: Mapping[str, StepEvent], event: Event
) -> bool:
    """True if an event may follow the `latest` of its step while the saga is parked."""
    if not isinstance(event, StepEvent):
        return isinstance(event, CHANGES_NOTHING)
    before, child = latest.get(event.step), definition[event.step].child
    waits = isinstance(before, StepAccepted if child is None else WaitStarted)
    match event:
        case LateReplyIgnored():
            return True
        case CallbackReceived():
            return isinstance(before, BACKS_OFF)
        case StepRejected() if child is not None:  # also one that was done is compensated
            return waits or isinstance(before, StepSucceeded | StepResolved)
        case StepSucceeded() | StepRejected():
            return waits
        case StepUnknown():
            return waits and child is not None
        case _:
            return False


def _moves_while_parked(
    moves: list[HistoryEntry], decided: tuple[type[Event], ...]
) -> Iterator[Breach]:
    for entry in moves:
        if not isinstance(entry.event, decided):
            yield Breach(entry.version, f"{entry} while the saga is parked")
