"""A dry run of compensation: the calls that would be sent, in order, and what cannot be undone.

It uses the decider itself: the request is decided, and every call succeeds.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from ..call_outcome import CallOutcome, Direction, Outcome
from ..inputs import CallCompleted, ChildFinished, Compensate, Input, Resume, TimerFired
from ..instructions import (
    CallParticipant,
    CompensateChild,
    Instruction,
    PauseChild,
    StartChild,
    next_wakeup,
    pending_instructions,
)
from ..machines import SagaStatus, StepStatus
from ..saga import NEEDS_COMPENSATION, Saga
from .decide import decide

SUCCESS = CallOutcome(kind=Outcome.DONE)
TIMER = TimerFired()


@dataclass(frozen=True, slots=True)
class CompensationPlan:
    calls: tuple[CallParticipant | CompensateChild, ...]
    cannot_undo: tuple[str, ...]


def plan_compensation(saga: Saga, *, now: datetime) -> CompensationPlan:
    """Return the plan; of a paused saga the one without the pause. Raises NotCompensatable."""
    if saga.state.paused_at is not None:
        saga = decide(saga, Resume(), now=now, jitter=0).saga
    saga = decide(saga, Compensate(), now=now, jitter=0).saga
    calls: list[CallParticipant | CompensateChild] = []
    while (input_ := _next_input(saga)) is not None:
        if input_ is TIMER:
            # A due timer may have to wait for calls in flight that are not sent again.
            now = max(now, next_wakeup(saga) or now, *saga.state.reply_deadlines.values())
        calls += filter(None, map(_compensation_only, pending_instructions(saga)[:1]))
        saga = decide(saga, input_, now=now, jitter=0).saga
    left = NEEDS_COMPENSATION | {StepStatus.COMPENSATION_FAILED}
    remaining = [step for step in saga.definition.steps if saga.status_of(step.name) in left]
    return CompensationPlan(tuple(calls), tuple(step.name for step in remaining if step.has_effect))


def _compensation_only(command: Instruction) -> CallParticipant | CompensateChild | None:
    match command:
        case CallParticipant(direction=Direction.COMPENSATION) | CompensateChild():
            return command
        case _:
            return None


def _next_input(saga: Saga) -> Input | None:
    """Return the success of a pending call; without one, the timer that the saga waits for."""
    if pending := pending_instructions(saga):
        return _success_of(pending[0])
    return TIMER if next_wakeup(saga) is not None else None


def _success_of(command: Instruction) -> Input:
    if isinstance(command, StartChild | CompensateChild | PauseChild):
        undone = SagaStatus.COMPENSATED
        return ChildFinished(step=command.parent.step, status=undone, outputs={}, error="undone")
    return CallCompleted(
        step=command.step, direction=command.direction, attempt=command.attempt, outcome=SUCCESS
    )
