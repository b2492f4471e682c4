"""A dry run of compensation: which calls would be sent, in which order, and what cannot be undone.

It is the real thing: the request is decided, and every call is answered with done.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from .command import (
    CallParticipant,
    Command,
    PauseChild,
    StartChild,
    UndoChild,
    commands,
    wake_up,
)
from .decide import decide
from .happening import (
    CallAnswered,
    ChildRested,
    CompensationAsked,
    Happening,
    ResumeAsked,
    TimePassed,
)
from .machines import SagaStatus, StepStatus
from .outcome import Direction, Outcome, Verdict
from .saga import AT_STAKE, Saga

DONE = Verdict(outcome=Outcome.DONE)
WAITED = TimePassed()


@dataclass(frozen=True, slots=True)
class UndoPlan:
    calls: tuple[CallParticipant | UndoChild, ...]
    cannot_undo: tuple[str, ...]


def plan_undo(saga: Saga, *, now: datetime) -> UndoPlan:
    """Of a paused saga it is that of the saga without the pause. Raises NotCompensatable."""
    if saga.state.paused_at is not None:
        saga = decide(saga, ResumeAsked(), now=now, jitter=0).saga
    saga = decide(saga, CompensationAsked(), now=now, jitter=0).saga
    calls: list[CallParticipant | UndoChild] = []
    while (happening := _next(saga)) is not None:
        if happening is WAITED:
            # What is due may have to wait for calls that are out and not sent again.
            now = max(now, wake_up(saga) or now, *saga.state.unanswered.values())
        calls += [one for one in map(_undoing, commands(saga)[:1]) if one is not None]
        saga = decide(saga, happening, now=now, jitter=0).saga
    left = AT_STAKE | {StepStatus.COMPENSATION_FAILED}
    stays = (one for one in saga.definition.steps if saga.status_of(one.name) in left)
    return UndoPlan(tuple(calls), tuple(one.name for one in stays if one.has_effect))


def _undoing(command: Command) -> CallParticipant | UndoChild | None:
    match command:
        case CallParticipant(direction=Direction.COMPENSATION) | UndoChild():
            return command
        case _:
            return None


def _next(saga: Saga) -> Happening | None:
    """What is out is answered with done; with nothing out, what is waited for comes at once."""
    if pending := commands(saga):
        return _done(pending[0])
    return WAITED if wake_up(saga) is not None else None


def _done(command: Command) -> Happening:
    if isinstance(command, StartChild | UndoChild | PauseChild):
        undone = SagaStatus.COMPENSATED
        return ChildRested(step=command.parent.step, status=undone, outputs={}, error="undone")
    return CallAnswered(
        step=command.step, direction=command.direction, attempt=command.attempt, verdict=DONE
    )
