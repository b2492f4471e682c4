"""A dry run of compensation: which calls would be sent, in which order, and what cannot be undone.

It is the real thing: the request is decided, and every call is answered with done.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from .command import CallParticipant, commands
from .decide import decide
from .happening import CallAnswered, CompensationAsked
from .machines import StepStatus
from .outcome import Direction, Outcome, Verdict
from .saga import AT_STAKE, Saga

DONE = Verdict(outcome=Outcome.DONE)


@dataclass(frozen=True, slots=True)
class UndoPlan:
    calls: tuple[CallParticipant, ...]
    cannot_undo: tuple[str, ...]


def plan_undo(saga: Saga, *, now: datetime) -> UndoPlan:
    """Raises NotCompensatable."""
    saga = decide(saga, CompensationAsked(), now=now, jitter=0).saga
    calls: list[CallParticipant] = []
    while pending := commands(saga):
        call = pending[0]
        if call.direction is Direction.COMPENSATION:
            calls.append(call)
        saga = decide(saga, _done(call), now=now, jitter=0).saga
    left = AT_STAKE | {StepStatus.COMPENSATION_FAILED}
    stays = (one for one in saga.definition.steps if saga.status_of(one.name) in left)
    return UndoPlan(tuple(calls), tuple(one.name for one in stays if one.has_effect))


def _done(call: CallParticipant) -> CallAnswered:
    return CallAnswered(
        step=call.step, direction=call.direction, attempt=call.attempt, verdict=DONE
    )
