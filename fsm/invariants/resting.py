"""What a saga that rests says of itself: that it does rest, and what is done and undone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

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
    StepNotSent,
    StepRejected,
    StepResolved,
    StepSkipped,
    StepSucceeded,
    StepUnknown,
)
from .effects import EffectTracker
from .history import History, HistoryEntry
from .violation import Breach

ENDS = (SagaCompleted, SagaCompensated, SagaAbandoned)
ENDS_PARKING = (SagaUnparked, SagaAbandoned, CompensationStarted)
# What a parked saga still records: outcomes of what it had begun, and what changes nothing.
RECORDED_WHILE_PARKED = (
    StepSucceeded,
    StepRejected,
    CallbackReceived,
    LateReplyIgnored,
    CompletionWebhookDelivered,
    ForwardedInputApplied,
)
# What an operator's command records before the saga is unparked or abandoned.
OPERATOR_DECISIONS: Mapping[type[SagaEvent], tuple[type[Event], ...]] = {
    SagaUnparked: (StepResolved, StepSkipped),
    SagaAbandoned: (StepUnknown, StepNotSent, OutputNotReceived, CompensationFailed),
}
CHANGES_NOTHING = (CompletionWebhookDelivered, LateReplyIgnored, ForwardedInputApplied)


def final_states_absorb(history: History) -> Iterator[Breach]:
    """I1. A completed saga can be turned back on request, and is one of those that go on."""
    end: HistoryEntry | None = None
    for entry in history.entries:
        reopens = isinstance(entry.event, CompensationStarted)
        if end is not None and not isinstance(entry.event, CHANGES_NOTHING):
            if not (reopens and isinstance(end.event, SagaCompleted)):
                yield Breach(entry.version, f"{entry} follows {end}")
            end = None
        end = entry if isinstance(entry.event, ENDS) else end


def rest_report_is_true(history: History) -> Iterator[Breach]:
    """I2. Completed is all done; parked and abandoned name exactly what is not done or undone."""
    stakes, back = EffectTracker(history.definition), False
    for entry in history.entries:
        stakes.apply(entry.event)
        back = back or isinstance(entry.event, CompensationStarted)
        if isinstance(entry.event, SagaEvent):
            yield from (
                Breach(entry.version, one)
                for one in _false_statements(entry.event, stakes, back=back)
            )


def _false_statements(event: SagaEvent, stakes: EffectTracker, *, back: bool) -> Iterator[str]:
    match event:
        case SagaCompleted():
            if missing := stakes.not_done:
                yield f"completed without {', '.join(missing)}"
        case SagaParked() if back:
            yield from _difference("parked", "undone", event.not_undone, stakes.standing)
        case SagaParked():
            yield from _difference("parked", "done", event.not_done, set(stakes.not_done))
            if event.not_done != stakes.not_done and {*event.not_done} == {*stakes.not_done}:
                yield "parked with what is not done in another order than the definition's"
        case SagaAbandoned():
            not_done = () if back else stakes.not_done
            yield from _difference("abandoned", "done", event.not_done, set(not_done))
            yield from _difference("abandoned", "undone", event.not_undone, stakes.standing)


def _difference(rest: str, what: str, told: tuple[str, ...], true: set[str]) -> Iterator[str]:
    if set(told) != true:
        said, is_so = ", ".join(told) or "nothing", ", ".join(sorted(true)) or "nothing"
        yield f"{rest} with {said} not {what}, but it is {is_so}"


def parked_sagas_rest(history: History) -> Iterator[Breach]:
    """Invariant I2. Between parking and an operator's decision nothing new happens to a saga.

    Recorded meanwhile are only the outcomes of what it had begun before, and what changes nothing.
    """
    parked, moves = False, list[HistoryEntry]()
    for entry in history.entries:
        event = entry.event
        if isinstance(event, SagaParked):
            parked = True
        elif isinstance(event, ENDS_PARKING):
            decided = OPERATOR_DECISIONS.get(type(event), ())
            yield from _moves_while_parked(moves, decided)
            parked, moves = False, []
        elif parked and not (
            isinstance(event, RECORDED_WHILE_PARKED) or _is_abandoned_child(history, event)
        ):
            moves.append(entry)
    yield from _moves_while_parked(moves, ())


def _is_abandoned_child(history: History, event: Event) -> bool:
    return isinstance(event, StepUnknown) and history.definition[event.step].child is not None


def _moves_while_parked(
    moves: list[HistoryEntry], decided: tuple[type[Event], ...]
) -> Iterator[Breach]:
    for entry in moves:
        if not isinstance(entry.event, decided):
            yield Breach(entry.version, f"{entry} while the saga is parked")
