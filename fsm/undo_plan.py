"""A dry run of compensation: which calls would be sent, in which order, and what cannot be undone.

It is the real thing: the request is decided, and every call is answered with done.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from .command import CallParticipant, commands, wake_up
from .decide import decide
from .happening import CallAnswered, CompensationAsked, Happening, TimePassed
from .machines import StepStatus
from .outcome import Direction, Outcome, Verdict
from .saga import AT_STAKE, Saga

DONE = Verdict(outcome=Outcome.DONE)
WAITED = TimePassed()


@dataclass(frozen=True, slots=True)
class UndoPlan:
    calls: tuple[CallParticipant, ...]
    cannot_undo: tuple[str, ...]


def plan_undo(saga: Saga, *, now: datetime) -> UndoPlan:
    """Raises NotCompensatable."""
    saga = decide(saga, CompensationAsked(), now=now, jitter=0).saga
    calls: list[CallParticipant] = []
    while (happening := _next(saga)) is not None:
        if happening is WAITED:
            now = max(now, wake_up(saga) or now)
        calls += [one for one in commands(saga)[:1] if one.direction is Direction.COMPENSATION]
        saga = decide(saga, happening, now=now, jitter=0).saga
    left = AT_STAKE | {StepStatus.COMPENSATION_FAILED}
    stays = (one for one in saga.definition.steps if saga.status_of(one.name) in left)
    return UndoPlan(tuple(calls), tuple(one.name for one in stays if one.has_effect))


def _next(saga: Saga) -> Happening | None:
    """What is out is answered with done; with nothing out, what is waited for comes at once."""
    if pending := commands(saga):
        return _done(pending[0])
    return WAITED if wake_up(saga) is not None else None


def _done(call: CallParticipant) -> CallAnswered:
    return CallAnswered(
        step=call.step, direction=call.direction, attempt=call.attempt, verdict=DONE
    )
