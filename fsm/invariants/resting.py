"""What a saga that rests says of itself: that it does rest, and what is done and undone."""

from __future__ import annotations

from collections.abc import Iterator

from ..events import (
    CompensationStarted,
    CompletionWebhookDelivered,
    ForwardedInputApplied,
    LateReplyIgnored,
    SagaAbandoned,
    SagaCompensated,
    SagaCompleted,
    SagaEvent,
    SagaParked,
)
from .effects import EffectTracker
from .history import History, HistoryEntry
from .violation import Breach

ENDS = (SagaCompleted, SagaCompensated, SagaAbandoned)
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
        case SagaAbandoned():
            not_done = () if back else stakes.not_done
            yield from _difference("abandoned", "done", event.not_done, set(not_done))
            yield from _difference("abandoned", "undone", event.not_undone, stakes.standing)


def _difference(rest: str, what: str, told: tuple[str, ...], true: set[str]) -> Iterator[str]:
    if set(told) != true:
        said, is_so = ", ".join(told) or "nothing", ", ".join(sorted(true)) or "nothing"
        yield f"{rest} with {said} not {what}, but it is {is_so}"
