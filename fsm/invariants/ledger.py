"""What participants saw, against the log: every call was intended, and every effect is known.

A call that comes late, from an owner who had lost the shard by then, is no violation: the key makes
it harmless. What it did must be in the log like the effect of any other call.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from ..events import CompensationCalled, Event, StatusAsked, StepCalled
from ..outcome import Direction
from .history import History
from .violation import Flaw, Notice

Intent = tuple[str, Direction, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenCall:
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


def calls_were_intended(history: History, calls: Sequence[SeenCall]) -> Iterator[Flaw]:
    """I6. The epoch of a call is that of its intent, or of a later owner who repeats it."""
    intents: dict[Intent, int] = {}
    for entry in history.entries:
        if (intent := intent_of(entry.event)) is not None:
            intents.setdefault(intent, entry.epoch)
    for call in calls:
        since = intents.get((call.step, call.direction, call.attempt))
        if since is None:
            yield Flaw(None, f"{call}, attempt {call.attempt}, was sent and never recorded")
        elif call.epoch is not None and call.epoch < since:
            detail = f"{call} was sent in epoch {call.epoch}, and recorded in epoch {since}"
            yield Flaw(None, detail)


def keys_are_constant(history: History, calls: Sequence[SeenCall]) -> Iterator[Flaw]:
    """I7. And what is sent under a key is always the same request."""
    first: dict[tuple[str, Direction], SeenCall] = {}
    for call in calls:
        if call.key != history.saga.key(call.step, call.direction):
            yield Flaw(None, f"{call} was sent under the key {call.key}")
        known = first.setdefault((call.key, call.direction), call)
        if (known.method, known.path) != (call.method, call.path):
            yield Flaw(None, f"{call.key} was sent with two requests")


def late_calls(calls: Sequence[SeenCall]) -> Iterator[Notice]:
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
        case StatusAsked(step=step, attempt=attempt):
            return step, Direction.STATUS, attempt
        case CompensationCalled(step=step, attempt=attempt):
            return step, Direction.COMPENSATION, attempt
        case _:
            return None
