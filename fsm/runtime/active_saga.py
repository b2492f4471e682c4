"""A saga that this node is driving: its newest state, and who waits for a later one."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Final, TypeAlias

from ...eventstore.event import shard_of
from ..call_outcome import Direction
from ..decider.decision import Decision
from ..events import Event, StepEvent
from ..instructions import CallParticipant, pending_call, resends_no_actions
from ..machines import SagaStatus
from ..saga import Saga
from ..state import CALL_INTENTS, without_unrecorded
from .concurrency import FairSemaphore

MAX_SLEEP_IN_MEMORY: Final = timedelta(seconds=5)  # that a saga spends in memory
Condition: TypeAlias = Callable[[Saga], bool]


class ActiveSaga:
    """`turn` makes decisions about one saga follow one another; `saga` is always durable."""

    __slots__ = ("_watchers", "lock", "saga", "shard_id")

    def __init__(self, saga: Saga) -> None:
        self.saga = saga
        self.shard_id = shard_of(saga.state.saga_id)
        self.lock = FairSemaphore(1)
        self._watchers: list[tuple[Condition, asyncio.Future[Saga]]] = []

    def update(self, saga: Saga) -> None:
        self.saga = saga
        if not self._watchers:
            return
        waiting = []
        for condition, watcher in self._watchers:
            if watcher.done():
                continue
            if condition(saga):
                watcher.set_result(saga)
            else:
                waiting.append((condition, watcher))
        self._watchers = waiting

    def wait_for(
        self, condition: Condition, loop: asyncio.AbstractEventLoop
    ) -> asyncio.Future[Saga]:
        """The first saga from now on that fulfils `condition`, or the last one known here."""
        watcher: asyncio.Future[Saga] = loop.create_future()
        if condition(self.saga):
            watcher.set_result(self.saga)
        else:
            self._watchers.append((condition, watcher))
        return watcher

    @property
    def is_watched(self) -> bool:
        return any(not watcher.done() for _, watcher in self._watchers)

    def is_needed_in_memory(self, now: datetime, wake: datetime | None) -> bool:
        """One that rests, or that waits for long until its `wake`, costs no memory: the log has it.

        Not while it is called, or owes a callback: who answers then holds this very object.
        """
        saga = self.saga
        if saga.has_call_in_flight or saga.has_pending_webhook or self.is_watched:
            return True
        return wake is not None and wake <= now + MAX_SLEEP_IN_MEMORY

    def release_watchers(self) -> None:
        """Tell those who wait that there is nothing later to wait for here."""
        for _, watcher in self._watchers:
            if not watcher.done():
                watcher.set_result(self.saga)
        self._watchers = []


def is_at_rest(saga: Saga) -> bool:
    return saga.state.status.is_at_rest


# Asked for with every call: Python takes four times longer to find `Direction.ACTION`.
ACTION, ABANDONED = Direction.ACTION, SagaStatus.ABANDONED
COMPENSATING = SagaStatus.COMPENSATING


def is_still_wanted(
    live: ActiveSaga,
    call: CallParticipant,
    *,
    resent: bool,
    now: Callable[[], datetime],
) -> bool:
    """True if a call that has waited for its turn is still to be sent.

    `resent`: it was sent once before, by a process that died before the answer.
    """
    saga = live.saga
    state, step = saga.state, saga.state.step(call.step)
    over = state.status is ABANDONED or state.paused_at is not None
    if over or pending_call(step) is not call.direction:
        return False
    if call.direction is not ACTION:
        return True
    if resent:
        return not resends_no_actions(saga, now())
    if state.status is COMPENSATING:
        return False
    return step.may_have_happened or not _is_overdue_or_to_compensate(saga, now)


def _is_overdue_or_to_compensate(saga: Saga, now: Callable[[], datetime]) -> bool:
    """Whether an action that was not sent yet comes too late: the saga is to be undone."""
    state = saga.state
    overdue = state.deadline is not None and state.deadline <= now()
    return (overdue or state.compensation_requested is not None) and not saga.pivot_succeeded


def without_calls(before: Saga, decision: Decision) -> Decision:
    """What has happened, without what would be sent next: the next process will decide that.

    What was decided is recorded even if it only repeats what the log has: it would be forgotten.
    """
    new = {(call.step, call.attempt) for call in decision.calls}
    saga = Saga(before.definition, without_unrecorded(before.state))
    events = [*_before_new_calls(decision.events, new)]
    for kept in decision.saga.state.unrecorded.values():
        events += _before_new_calls(kept.events, new)
    if not events:
        return Decision((), before, ())
    for event in events:
        saga = saga.evolve(event, decision.saga.state.updated_at)
    return Decision(tuple(events), saga, ())


def _before_new_calls(events: Sequence[Event], new: Collection[tuple[str, int]]) -> Iterator[Event]:
    """Those before the first intent of a call that is new, and so has no answer behind it."""
    for place, event in enumerate(events):
        if isinstance(event, CALL_INTENTS) and (event.step, event.attempt) in new:
            rest = events[place + 1 :]
            if not any(isinstance(one, StepEvent) and one.step == event.step for one in rest):
                return
        yield event
