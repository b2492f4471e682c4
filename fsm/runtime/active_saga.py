"""A saga in memory: it decides, appends the decision, then calls; and again with each result.

    input ──> decide ──> append (durable) ──> calls leave ──> their results are inputs

No call leaves before the decision that intends it is durable. A saga handles one input at a time;
sagas do not wait for one another, except in the group commit of the log. A call, its result and the
calls that follow are one chain, run by one task. Everything here can be lost: the log has the saga.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime, timedelta
from functools import partial
from typing import Final, Protocol, TypeAlias

from ...eventstore import Fenced, LogOverloaded, RecordedEvent, WrongExpectedVersion, shard_of
from ..call_outcome import Direction
from ..decider.decide import decide
from ..decider.decision import Decision
from ..definitions.definition import Definition
from ..events import Event, ForwardedInputApplied, StepEvent
from ..inputs import CallCompleted, Input, StartSaga
from ..instructions import (
    CallParticipant,
    awaiting_replies,
    pending_call,
    resends_no_actions,
)
from ..machines import SagaStatus
from ..saga import Saga
from ..state import CALL_INTENTS, without_unrecorded
from .calls.executor import NOT_WANTED, Executor
from .clock import Clock
from .concurrency import FairSemaphore
from .errors import VersionConflict
from .saga_repository import SagaRepository
from .sharding.driven_shards import DrivenShards
from .sharding.recovery_barrier import RecoveryBarrier

OVERLOAD_RETRY_SECONDS: Final = 0.1
MAX_SLEEP_IN_MEMORY: Final = timedelta(seconds=5)  # a longer sleep is reloaded from the log
Condition: TypeAlias = Callable[[Saga], bool]


class SagaRuntime(Protocol):
    """The services that an active saga uses, and its reports to the driver, which implements
    them."""

    clock: Clock
    executor: Executor
    repository: SagaRepository
    shards: DrivenShards
    recovery_barrier: RecoveryBarrier

    def may_send(self, shard_id: int) -> bool:
        """False if nothing new may be sent for sagas of the shard."""

    def on_committed(
        self, active: ActiveSaga, decision: Decision, recorded: Sequence[RecordedEvent]
    ) -> None:
        """Publish a durable decision, and begin what it instructs."""

    def on_unrecorded(self, active: ActiveSaga, decision: Decision) -> None:
        """Keep a decision that is not worth an event."""

    def set_timer(self, saga: Saga) -> None:
        """Wake the saga at the time that its state says."""

    def start_calls(
        self, active: ActiveSaga, calls: Sequence[CallParticipant], *, in_backlog: bool = False
    ) -> None:
        """Run a chain for each of the calls."""

    def wake_held(self) -> None:
        """Wake the sagas whose calls were held by circuits that are closed now."""

    async def redeliver(self, active: ActiveSaga, call_result: CallCompleted) -> None:
        """Handle a result with the saga as it is in the log: `active` is outdated."""


class ActiveSaga:
    """A saga in memory. `lock` is held while an input is handled; all of `saga` is durable, except
    for unrecorded repetitions."""

    __slots__ = ("_runtime", "_watchers", "lock", "saga", "shard_id")

    def __init__(self, saga: Saga, runtime: SagaRuntime) -> None:
        self.saga = saga
        self.shard_id = shard_of(saga.state.saga_id)
        self.lock = FairSemaphore(1)
        self._runtime = runtime
        self._watchers: list[tuple[Condition, asyncio.Future[Saga]]] = []

    async def handle(
        self, input_: Input, expected_version: int | None = None
    ) -> Sequence[CallParticipant]:
        """Decide about an input, and append the decision; return the calls that may leave now.

        Raises what the core refuses, VersionConflict, and the errors of an append.
        """
        runtime, lock = self._runtime, self.lock
        if not lock.try_acquire():
            await lock.acquire()
        try:
            saga = self.saga
            if expected_version is not None and saga.state.version != expected_version:
                raise VersionConflict(saga.state.saga_id, saga.state.version)
            clock, executor = runtime.clock, runtime.executor
            held = executor.held_participants(saga.definition)
            decision = decide(
                saga, input_, now=clock.now(), jitter=clock.jitter(), open_circuits=held
            )
            if not runtime.may_send(self.shard_id):
                decision = without_calls(saga, decision)
            if decision.events:
                state = decision.saga.state
                recorded = await runtime.repository.append(
                    state.saga_id, saga.state.version, decision.events, at=state.updated_at
                )
                runtime.on_committed(self, decision, recorded)
            elif decision.saga is not saga:
                runtime.on_unrecorded(self, decision)
            if held:
                executor.register_held(decision.saga, held)
        except Fenced as error:
            runtime.shards.mark_fenced(error.shard_id)
            raise
        finally:
            lock.release()
        return decision.calls

    async def handle_until_recorded(self, input_: Input) -> Sequence[CallParticipant]:
        """Handle an input that must not be lost: while the log is overloaded, try again."""
        while True:
            try:
                return await self.handle(input_)
            except LogOverloaded:
                await asyncio.sleep(OVERLOAD_RETRY_SECONDS)

    async def run_call_chain(
        self,
        call: CallParticipant,
        *,
        resent: bool = False,
        in_backlog: bool = False,
        is_recovered: bool = False,
    ) -> None:
        """Send a call and handle its result, then send what follows, until nothing does.

        `resent`: a process that crashed has sent the call before. `in_backlog`: no client waits for
        it. With `is_recovered` the chain waits at the recovery barrier after its first call.
        """
        runtime = self._runtime
        calls: Sequence[CallParticipant] = (call,)
        while calls:
            first = calls[0]
            if len(calls) > 1:
                runtime.start_calls(self, calls[1:], in_backlog=in_backlog)
            outcome = await runtime.executor.call(
                first,
                self.saga.definition,
                runtime.shards.epoch_of(self.shard_id),
                partial(self._may_send, first, resent, is_recovered),
                in_backlog=in_backlog,
            )
            if runtime.executor.closed_circuits:
                runtime.wake_held()
            if outcome is NOT_WANTED and resent and await self._awaits_reply_instead(first):
                return
            result = CallCompleted(
                step=first.step,
                direction=first.direction,
                attempt=first.attempt,
                outcome=outcome,
                resent=resent,
            )
            try:
                calls = await self.handle_until_recorded(result)
            except WrongExpectedVersion:
                await runtime.redeliver(self, result)
                return
            resent = False
            if is_recovered and calls and not runtime.recovery_barrier.is_open:
                await runtime.recovery_barrier.wait()

    def _may_send(self, call: CallParticipant, resent: bool, is_recovered: bool) -> bool:
        """True if a call that has waited for its slot is still to be sent."""
        if is_recovered:
            self._runtime.recovery_barrier.arrive(call.saga_id)
        return is_still_wanted(self.saga, call, resent=resent, now=self._runtime.clock.now)

    async def _awaits_reply_instead(self, call: CallParticipant) -> bool:
        """If the saga compensates by now, wait for the reply to the call that the crashed process
        may have sent, in place of sending it again; return whether the saga does so."""
        if not self.lock.try_acquire():
            await self.lock.acquire()
        try:
            now = self._runtime.clock.now()
            waits = resends_no_actions(self.saga, now)
            if waits:
                self.update(awaiting_replies(self.saga, [call.step], now))
                self._runtime.set_timer(self.saga)
            return waits
        finally:
            self.lock.release()

    def update(self, saga: Saga) -> None:
        """Replace the state, and notify the watchers whose condition it fulfils."""
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

    def wait_for(self, condition: Condition) -> asyncio.Future[Saga]:
        """Return a future of the first state from now on that fulfils `condition`, or of the last
        state known here, if the saga is released before."""
        watcher: asyncio.Future[Saga] = asyncio.get_running_loop().create_future()
        if condition(self.saga):
            watcher.set_result(self.saga)
        else:
            self._watchers.append((condition, watcher))
        return watcher

    @property
    def is_watched(self) -> bool:
        return any(not watcher.done() for _, watcher in self._watchers)

    def is_needed_in_memory(self, now: datetime, wakeup: datetime | None) -> bool:
        """False for a saga at rest, or asleep for longer than MAX_SLEEP_IN_MEMORY: it is evicted,
        and reloaded from the log on demand.

        A saga with a call in flight or a pending webhook stays: the task that waits uses this
        very object.
        """
        saga = self.saga
        if saga.has_call_in_flight or saga.has_pending_webhook or self.is_watched:
            return True
        return wakeup is not None and wakeup <= now + MAX_SLEEP_IN_MEMORY

    def release_watchers(self) -> None:
        """Resolve all watchers with the current state: no later one will be known here."""
        for _, watcher in self._watchers:
            if not watcher.done():
                watcher.set_result(self.saga)
        self._watchers = []


class SagaHost(Protocol):
    """The sagas of this node, as the parts of the runtime that act on sagas see them."""

    is_stopping: bool

    def acquire(self, saga_id: str) -> AbstractAsyncContextManager[ActiveSaga]:
        """Hold the saga, loaded from the log if it is not in memory. Raises SagaNotFound."""

    async def load(self, saga_id: str) -> Saga:
        """Return the saga from memory, else from the log. Raises SagaNotFound."""

    def creation_lock(self, saga_id: str) -> asyncio.Lock:
        """Return the lock of the saga that serialises creating and loading."""

    def start(
        self, definition: Definition, saga_id: str, request: StartSaga
    ) -> asyncio.Future[ActiveSaga]:
        """Start a saga; the result is ready once the start is durable."""

    async def handle(self, active: ActiveSaga, input_: Input) -> None:
        """Handle an input of a saga in memory, and start the calls that follow."""

    async def deliver(self, saga_id: str, input_: Input) -> None:
        """Handle an input of a saga, in memory or not; while the log is overloaded, try again."""

    async def sleep(self, seconds: float) -> None:
        """Sleep, cut short when the service stops."""


def is_at_rest(saga: Saga) -> bool:
    return saga.state.status.is_at_rest


def is_still_wanted(
    saga: Saga, call: CallParticipant, *, resent: bool, now: Callable[[], datetime]
) -> bool:
    """True if a call that has waited for its slot is still to be sent.

    `resent`: a process that crashed before the result has sent it once.
    """
    state, step = saga.state, saga.state.step(call.step)
    is_over = state.status is SagaStatus.ABANDONED or state.paused_at is not None
    if is_over or pending_call(step) is not call.direction:
        return False
    if call.direction is not Direction.ACTION:
        return True
    if resent:
        return not resends_no_actions(saga, now())
    if state.status is SagaStatus.COMPENSATING:
        return False
    return step.may_have_happened or not _is_to_compensate(saga, now)


def _is_to_compensate(saga: Saga, now: Callable[[], datetime]) -> bool:
    """True if an action that was not sent yet is too late: the saga will compensate."""
    state = saga.state
    is_overdue = state.deadline is not None and state.deadline <= now()
    is_requested = state.compensation_requested is not None
    return (is_overdue or is_requested) and not saga.pivot_succeeded


def without_calls(before: Saga, decision: Decision) -> Decision:
    """Return a decision without the calls that it would send: the next process decides about them.

    Repetitions are recorded, though the log has their like: only this process knows of them.
    """
    new_calls = {(call.step, call.attempt) for call in decision.calls}
    saga = Saga(before.definition, without_unrecorded(before.state))
    events = [*_before_new_calls(decision.events, new_calls)]
    for unrecorded in decision.saga.state.unrecorded.values():
        events += _before_new_calls(unrecorded.events, new_calls)
    if not events:
        return Decision((), before, ())
    for event in events:
        saga = saga.evolve(event, decision.saga.state.updated_at)
    return Decision(tuple(events), saga, ())


def _before_new_calls(
    events: Sequence[Event], new_calls: Collection[tuple[str, int]]
) -> Iterator[Event]:
    """Yield the events before the first intent of a new call, one without a result behind it."""
    for index, event in enumerate(events):
        if isinstance(event, CALL_INTENTS) and (event.step, event.attempt) in new_calls:
            later = events[index + 1 :]
            if not any(isinstance(each, StepEvent) and each.step == event.step for each in later):
                if index:  # the events of the input itself, which must not be applied again
                    yield from (each for each in later if isinstance(each, ForwardedInputApplied))
                return
        yield event
