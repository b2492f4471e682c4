"""Invariants of progress: what a saga waits for, and that it goes on (I11, I14); child sagas."""

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
ENDED = {  # the statuses in which a child reports to its parent, by the status of the step
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
    """Invariant I11. A saga that is not at rest waits for a call, a time, a child or an operator.

    A saga at rest has no call in flight. A running saga wakes up at its deadline at the latest,
    unless it is paused or a pivot is uncertain. A call of an earlier process that is not repeated
    is awaited until a time.
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
    """Invariant I14. A saga that was due before `overdue` has gone on since.

    It cannot have gone on before `served_since`, when its shard was last claimed.
    """
    due = progress_due_at(history.saga)
    if due is not None and max(due, served_since) < overdue:
        detail = f"{history.saga.state.status}, and should have gone on at {due.isoformat()}"
        yield Breach(history.version, detail)


def child_results_arrive(
    history: History, children: Mapping[str, History], *, served_since: datetime, overdue: datetime
) -> Iterator[Breach]:
    """Invariant I14. An awaited child exists, and its end is recorded by the parent before long."""
    for step, state in awaited_children(history.saga):
        child = children.get(state.child_id or "")
        ended = child is not None and child.saga.state.status in ENDED[state.status]
        since = (child or history).saga.state.updated_at
        if (child is None or ended) and max(since, served_since) < overdue:
            status = child.saga.state.status if child is not None else "unknown"
            yield Breach(history.version, f"{step.name} waits for a child that is {status}")


def awaited_children(saga: Saga) -> list[tuple[Step, StepState]]:
    """Return the steps that wait for a child saga; none while the saga is paused."""
    if saga.state.paused_at is not None:
        return []
    return [
        (step, state)
        for step, state in saga.steps
        if step.child is not None and state.status in ENDED
    ]


def progress_due_at(saga: Saga) -> datetime | None:
    """Return by when something must be recorded without any input; None if by no time."""
    if saga.state.status.is_at_rest or saga.state.paused_at is not None:
        return None
    quiet = max((_quiet_period(step, state) for step, state in saga.steps), default=timedelta())
    times = [saga.state.updated_at + timeout for timeout in _timeouts(saga)]
    if (wakeup := next_wakeup(saga)) is not None:
        times.append(wakeup)
    return min(times) + quiet if times else None


def _quiet_period(step: Step, state: StepState) -> timedelta:
    """Return for how long a step that repeats without news may have nothing recorded.

    The count of the same replies is recorded when it has doubled.
    """
    repeats = max(state.repetitions, state.polls - 1)
    if repeats < 2 or step.action is None or state.status not in REPEATS:
        return timedelta()
    calls = [call for call in (step.action, step.compensation, step.status) if call is not None]
    max_interval = max(max(call.retry.cap, MAX_RETRY_AFTER) + call.timeout for call in calls)
    return repeats * max_interval


def _timeouts(saga: Saga) -> Iterator[timedelta]:
    for step, state in saga.steps:
        direction = pending_call(state)
        if direction is not None and step.action is not None:
            yield call_of(step, direction).timeout


def _called(saga: Saga) -> list[Step]:
    """Return the steps with a call in flight, also those that are called for their output."""
    return [step for step, state in saga.steps if pending_call(state) is not None]


def children_of(history: History) -> Mapping[str, str]:
    """Return the ids of the child sagas by step, as named when the parent begins to wait."""
    events = (entry.event for entry in history.entries)
    waits = [event for event in events if isinstance(event, WaitStarted)]
    return {wait.step: wait.child_id for wait in waits if wait.child_id is not None}


def children_agree(history: History, children: Mapping[str, History]) -> Iterator[Breach]:
    """Whatever a parent records of a child has happened to that child.

    A compensated parent leaves no child standing, unless an operator has decided about its step,
    and none completes on a child that was compensated. A child that is not in `children` has never
    started.
    """
    named, resolved = children_of(history), set[str]()
    for entry in history.entries:
        event = entry.event
        if isinstance(event, SagaCompleted):
            yield from _completed_without(entry, named.keys() - resolved, named, children)
        if not isinstance(event, StepEvent) or event.step not in named:
            continue
        if isinstance(event, StepResolved):
            resolved.add(event.step)
        if (fact := _contradiction(event, children.get(named[event.step]))) is not None:
            yield Breach(entry.version, f"{entry}, and its child {fact}")
    if history.saga.state.status is SagaStatus.COMPENSATED:
        for step, child_id in named.items():
            child = children.get(child_id)
            if child is not None and step not in resolved and not _is_over(child):
                status = child.saga.state.status
                yield Breach(history.version, f"compensated, and the child of {step} is {status}")


def _completed_without(
    end: HistoryEntry,
    steps: Collection[str],
    named: Mapping[str, str],
    children: Mapping[str, History],
) -> Iterator[Breach]:
    """Yield the steps whose children were compensated before the parent completed."""
    for step in sorted(steps):
        child = children.get(named[step])
        entries = () if child is None else child.entries
        starts = (entry for entry in entries if _starts_compensation(entry))
        if any(start.recorded_at < end.recorded_at for start in starts):
            yield Breach(end.version, f"completed on the child of {step}, which was undone")


def _starts_compensation(entry: HistoryEntry) -> bool:
    return isinstance(entry.event, CompensationStarted)


def parent_names_child(history: History, parent: History | None) -> Iterator[Breach]:
    """The parent of a child saga has named it. `parent` None: it never started."""
    link = history.saga.state.parent
    assert link is not None, "only a child has a parent"
    named = parent is not None and children_of(parent).get(link.step) == history.saga_id
    if not named:
        yield Breach(1, f"it is the child of {link.step}, which {link.saga_id} does not know of")


def _contradiction(event: Event, child: History | None) -> str | None:
    """Return what the child is instead, if an event of its parent is not true of it."""
    match event:
        case StepSucceeded():
            is_true = child is not None and _has_event(child, SagaCompleted)
        case StepRejected():
            is_true = child is None or _has_event(child, SagaCompensated)
        case CompensationSucceeded():
            is_true = child is None or _is_over(child)
        case _:
            is_true = True
    if is_true:
        return None
    return "has never begun" if child is None else f"is {child.saga.state.status}"


def _has_event(child: History, kind: type[Event]) -> bool:
    return any(isinstance(entry.event, kind) for entry in child.entries)


def _is_over(child: History) -> bool:
    return child.saga.state.status in OVER
