"""Invariants of progress: what a saga waits for, and that it goes on; parents and children."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from datetime import datetime, timedelta

from ..definitions.definition import Step
from ..definitions.retry import MAX_RETRY_AFTER
from ..events import (
    CompensationStarted,
    CompensationSucceeded,
    Event,
    SagaCompensated,
    SagaCompleted,
    StepEvent,
    StepRejected,
    StepResolved,
    StepSucceeded,
    WaitStarted,
)
from ..instructions import call_of, next_wakeup, pending_call
from ..machines import SagaStatus, StepStatus
from ..saga import Saga
from ..step_state import StepState
from .history import History, HistoryEntry
from .violation import Breach

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


def waits_have_a_wakeup(history: History) -> Iterator[Breach]:
    """Invariant I11. A saga that does not rest waits for a call, a time, a child or an operator.

    A saga at rest has no call in flight. A running saga with a deadline is woken for it at the
    latest, unless it is paused or a pivot is in doubt. A call that an earlier process had sent,
    and that is not sent again, is waited for until a time.
    """
    saga, state = history.saga, history.saga.state
    status, under_way = state.status, [step.name for step in _called(saga)]
    if status.is_at_rest and under_way:
        yield Breach(history.version, f"{status}, and {', '.join(under_way)} is under way")
    paused, wakes = state.paused_at is not None, next_wakeup(saga)
    in_flight = [
        step.name
        for step in _called(saga)
        if step.action is not None and step.name not in state.reply_deadlines
    ]
    awaits = in_flight or paused or wakes is not None or awaited_children(saga)
    if not (status.is_at_rest or awaits or history.broken is not None):
        yield Breach(history.version, f"{status}, and waits for nothing")
    deadline = state.deadline if status is SagaStatus.RUNNING else None
    if deadline and not (paused or saga.pivot_is_uncertain or (wakes and wakes <= deadline)):
        yield Breach(history.version, f"running, and its deadline {deadline} does not wake it")


def sagas_make_progress(
    history: History, *, served_since: datetime, overdue: datetime
) -> Iterator[Breach]:
    """I14, as far as one look can tell: nothing that should have gone on before `overdue` stands
    still. Nobody can have gone on before `served_since`, when its shard was last claimed."""
    due = progress_due_at(history.saga)
    if due is not None and max(due, served_since) < overdue:
        detail = f"{history.saga.state.status}, and should have gone on at {due.isoformat()}"
        yield Breach(history.version, detail)


def child_results_arrive(
    history: History, children: Mapping[str, History], *, served_since: datetime, overdue: datetime
) -> Iterator[Breach]:
    """I14. A child that is waited for is there, and where it ends that is recorded before long."""
    for step, state in awaited_children(history.saga):
        child = children.get(state.child_id or "")
        ended = child is not None and child.saga.state.status in ENDED[state.status]
        since = (child or history).saga.state.updated_at
        if (child is None or ended) and max(since, served_since) < overdue:
            fate = f"is {child.saga.state.status}" if child is not None else "nobody knows"
            yield Breach(history.version, f"{step.name} waits for a child that {fate}")


def awaited_children(saga: Saga) -> list[tuple[Step, StepState]]:
    """Nobody starts or hears a child while its parent is paused."""
    if saga.state.paused_at is not None:
        return []
    return [one for one in saga.steps if one[0].child is not None and one[1].status in ENDED]


def progress_due_at(saga: Saga) -> datetime | None:
    """By when something must be recorded, though nobody asks for anything; None if by no time."""
    if saga.state.status.is_at_rest or saga.state.paused_at is not None:
        return None
    silence = max((_quiet_period(step, state) for step, state in saga.steps), default=timedelta())
    times = [saga.state.updated_at + timeout for timeout in _timeouts(saga)]
    if (woken := next_wakeup(saga)) is not None:
        times.append(woken)
    return min(times) + silence if times else None


def _quiet_period(step: Step, state: StepState) -> timedelta:
    """For how long a step that repeats itself without news may have nothing recorded: until the
    same has come as often again."""
    repeats = max(state.repetitions, state.polls - 1)
    if repeats < 2 or step.action is None or state.status not in REPEATS:
        return timedelta()
    calls = [one for one in (step.action, step.compensation, step.status) if one is not None]
    longest = max(max(one.retry.cap, MAX_RETRY_AFTER) + one.timeout for one in calls)
    return repeats * longest


def _timeouts(saga: Saga) -> Iterator[timedelta]:
    for step, state in saga.steps:
        direction = pending_call(state)
        if direction is not None and step.action is not None:
            yield call_of(step, direction).timeout


def _called(saga: Saga) -> list[Step]:
    """Return the steps that wait for an answer, also those that are called for their output."""
    return [step for step, state in saga.steps if pending_call(state) is not None]


def children_of(history: History) -> Mapping[str, str]:
    """Their names, by step. A child is named as its parent begins to wait for it."""
    waits = (one.event for one in history.entries if isinstance(one.event, WaitStarted))
    return {one.step: one.child_id for one in waits if one.child_id is not None}


def children_agree(history: History, children: Mapping[str, History]) -> Iterator[Breach]:
    """What is recorded of a child has happened to it; who is undone leaves none standing. A child
    that is not among `children` has never begun."""
    named, vouched = children_of(history), set[str]()
    for entry in history.entries:
        event = entry.event
        if isinstance(event, SagaCompleted):
            yield from _completed_without(entry, named.keys() - vouched, named, children)
        if not isinstance(event, StepEvent) or event.step not in named:
            continue
        if isinstance(event, StepResolved):
            vouched.add(event.step)
        if (why := _contradiction(event, children.get(named[event.step]))) is not None:
            yield Breach(entry.version, f"{entry}, and its child {why}")
    if history.saga.state.status is SagaStatus.COMPENSATED:
        for step, child_id in named.items():
            child = children.get(child_id)
            if child is not None and step not in vouched and not _is_over(child):
                status = child.saga.state.status
                yield Breach(history.version, f"compensated, and the child of {step} is {status}")


def _completed_without(
    end: HistoryEntry,
    steps: Collection[str],
    named: Mapping[str, str],
    children: Mapping[str, History],
) -> Iterator[Breach]:
    """Of `steps` those whose children had turned back before the parent completed."""
    for step in sorted(steps):
        child = children.get(named[step])
        turns = [] if child is None else [one for one in child.entries if _starts_compensation(one)]
        if any(one.recorded_at < end.recorded_at for one in turns):
            yield Breach(end.version, f"completed on the child of {step}, which was undone")


def _starts_compensation(entry: HistoryEntry) -> bool:
    return isinstance(entry.event, CompensationStarted)


def parent_names_child(history: History, parent: History | None) -> Iterator[Breach]:
    """Of a child: whoever it is a step of has named it. None is a parent that never began."""
    of = history.saga.state.parent
    assert of is not None, "only a child has a parent"
    known = parent is not None and children_of(parent).get(of.step) == history.saga_id
    if not known:
        yield Breach(1, f"it is the child of {of.step}, which {of.saga_id} does not know of")


def _contradiction(event: Event, child: History | None) -> str | None:
    """What the child says instead, if it does."""
    match event:
        case StepSucceeded():
            true = child is not None and _has_event(child, SagaCompleted)
        case StepRejected():
            true = child is None or _has_event(child, SagaCompensated)
        case CompensationSucceeded():
            true = child is None or _is_over(child)
        case _:
            true = True
    if true:
        return None
    return "has never begun" if child is None else f"is {child.saga.state.status}"


def _has_event(child: History, kind: type[Event]) -> bool:
    return any(isinstance(one.event, kind) for one in child.entries)


def _is_over(child: History) -> bool:
    return child.saga.state.status in OVER
