"""What a saga that rests says of itself: that it does rest, and what is done and undone."""

from __future__ import annotations

from collections.abc import Iterator

from ..events import (
    CallbackDelivered,
    CompensationStarted,
    LateReplyIgnored,
    MessageTaken,
    SagaAbandoned,
    SagaCompensated,
    SagaCompleted,
    SagaEvent,
    SagaParked,
)
from .history import Entry, History
from .stakes import Stakes
from .violation import Flaw

ENDS = (SagaCompleted, SagaCompensated, SagaAbandoned)
CHANGES_NOTHING = (CallbackDelivered, LateReplyIgnored, MessageTaken)


def ends_absorb(history: History) -> Iterator[Flaw]:
    """I1. A completed saga can be turned back on request, and is one of those that go on."""
    end: Entry | None = None
    for entry in history.entries:
        reopens = isinstance(entry.event, CompensationStarted)
        if end is not None and not isinstance(entry.event, CHANGES_NOTHING):
            if not (reopens and isinstance(end.event, SagaCompleted)):
                yield Flaw(entry.version, f"{entry} follows {end}")
            end = None
        end = entry if isinstance(entry.event, ENDS) else end


def rest_is_told(history: History) -> Iterator[Flaw]:
    """I2. Completed is all done; parked and abandoned name exactly what is not done or undone."""
    stakes, back = Stakes(history.definition), False
    for entry in history.entries:
        stakes.see(entry.event)
        back = back or isinstance(entry.event, CompensationStarted)
        if isinstance(entry.event, SagaEvent):
            yield from (Flaw(entry.version, one) for one in _lies(entry.event, stakes, back=back))


def _lies(event: SagaEvent, stakes: Stakes, *, back: bool) -> Iterator[str]:
    match event:
        case SagaCompleted():
            if missing := stakes.not_done:
                yield f"completed without {', '.join(missing)}"
        case SagaParked() if back:
            yield from _differs("parked", "undone", event.not_undone, stakes.standing)
        case SagaParked():
            yield from _differs("parked", "done", event.not_done, set(stakes.not_done))
        case SagaAbandoned():
            not_done = () if back else stakes.not_done
            yield from _differs("abandoned", "done", event.not_done, set(not_done))
            yield from _differs("abandoned", "undone", event.not_undone, stakes.standing)


def _differs(rest: str, what: str, told: tuple[str, ...], true: set[str]) -> Iterator[str]:
    if set(told) != true:
        said, is_so = ", ".join(told) or "nothing", ", ".join(sorted(true)) or "nothing"
        yield f"{rest} with {said} not {what}, but it is {is_so}"
