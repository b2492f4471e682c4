"""What a saga that does not rest waits for, and whether it waits too long for it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta

from ..command import awaited, call_of, wake_up
from ..definition import Step
from ..machines import SagaStatus, StepStatus
from ..retry import LONGEST_RETRY_AFTER
from ..saga import Saga
from ..step_state import StepState
from .history import History
from .violation import Flaw

OVER = frozenset({SagaStatus.COMPENSATED, SagaStatus.ABANDONED})
ENDED = {  # where a child says to its parent that it is over, by what the parent waits for
    StepStatus.WAITING: OVER | {SagaStatus.COMPLETED},
    StepStatus.COMPENSATING: OVER,
}
REPEATS = frozenset(
    {
        StepStatus.CALLING,
        StepStatus.BACKING_OFF,
        StepStatus.WAITING,
        StepStatus.COMPENSATING,
        StepStatus.COMPENSATION_BACKING_OFF,
    }
)


def waits_end(history: History) -> Iterator[Flaw]:
    """I11. Who rests awaits nothing; who does not waits for a call, a time, a child or a person."""
    saga = history.saga
    status, under_way = saga.state.status, [step.name for step in _called(saga)]
    if status.rests and under_way:
        yield Flaw(history.version, f"{status}, and {', '.join(under_way)} is under way")
    awaits = under_way or saga.state.paused_at is not None or history.broken is not None
    if not (status.rests or awaits) and wake_up(saga) is None and not awaited_children(saga):
        yield Flaw(history.version, f"{status}, and waits for nothing")


def comes_to_rest(history: History, *, served_since: datetime, overdue: datetime) -> Iterator[Flaw]:
    """I14, as far as one look can tell: nothing that should have gone on before `overdue` stands
    still. Nobody can have gone on before `served_since`, when its shard was last claimed."""
    due = goes_on_at(history.saga)
    if due is not None and max(due, served_since) < overdue:
        detail = f"{history.saga.state.status}, and should have gone on at {due.isoformat()}"
        yield Flaw(history.version, detail)


def children_are_heard(
    history: History, children: Mapping[str, History], *, served_since: datetime, overdue: datetime
) -> Iterator[Flaw]:
    """I14. A child that is waited for is there, and where it ends that is recorded before long."""
    for step, state in awaited_children(history.saga):
        child = children.get(state.child_id or "")
        ended = child is not None and child.saga.state.status in ENDED[state.status]
        since = (child or history).saga.state.updated_at
        if (child is None or ended) and max(since, served_since) < overdue:
            fate = f"is {child.saga.state.status}" if child is not None else "nobody knows"
            yield Flaw(history.version, f"{step.name} waits for a child that {fate}")


def awaited_children(saga: Saga) -> list[tuple[Step, StepState]]:
    """Nobody starts or hears a child while its parent is paused."""
    if saga.state.paused_at is not None:
        return []
    return [one for one in saga.steps if one[0].child is not None and one[1].status in ENDED]


def goes_on_at(saga: Saga) -> datetime | None:
    """By when something must be recorded, though nobody asks for anything; None if by no time."""
    if saga.state.status.rests or saga.state.paused_at is not None:
        return None
    silence = max((_silence(step, state) for step, state in saga.steps), default=timedelta())
    times = [saga.state.updated_at + timeout for timeout in _timeouts(saga)]
    if (woken := wake_up(saga)) is not None:
        times.append(woken)
    return min(times) + silence if times else None


def _silence(step: Step, state: StepState) -> timedelta:
    """For how long a step that repeats itself without news may have nothing recorded: until the
    same has come as often again."""
    repeats = max(state.times, state.polls - 1)
    if repeats < 2 or step.action is None or state.status not in REPEATS:
        return timedelta()
    calls = [one for one in (step.action, step.compensation, step.status) if one is not None]
    longest = max(max(one.retry.cap, LONGEST_RETRY_AFTER) + one.timeout for one in calls)
    return repeats * longest


def _timeouts(saga: Saga) -> Iterator[timedelta]:
    for step, state in saga.steps:
        direction = awaited(state)
        if direction is not None and step.action is not None:
            yield call_of(step, direction).timeout


def _called(saga: Saga) -> list[Step]:
    """Return the steps that wait for an answer, also those that are called for their output."""
    return [step for step, state in saga.steps if awaited(state) is not None]
