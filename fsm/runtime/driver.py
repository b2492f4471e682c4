"""The driver: the sagas of this node, their tasks, timers and shards.

It creates and loads sagas, hands them their inputs, starts the calls that they decide, and evicts
them from memory. All memory here can be lost: recovery rebuilds it from the log.

A saga whose history or events are refused is quarantined: it stays in the log as it is, an error is
logged, and no other saga is blocked. A draining shard ends its calls in flight and sends nothing
new; then another node goes on with it.

Sagas that a crash has interrupted are recovered page by page while their shards are in service
already, and at once if a request or a message needs one of them earlier.
"""

from __future__ import annotations

import asyncio
from collections.abc import (
    AsyncIterator,
    Callable,
    Collection,
    Coroutine,
    Iterable,
    Mapping,
    Sequence,
)
from contextlib import asynccontextmanager, suppress
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Final
from weakref import WeakValueDictionary

from ...eventstore import (
    Fenced,
    LogOverloaded,
    LogUnavailable,
    RecordedEvent,
    WrongExpectedVersion,
    shard_of,
)
from ..decider.decide import start
from ..decider.decision import Decision
from ..definitions.definition import Definition
from ..inputs import (
    CallCompleted,
    Input,
    ProcessStops,
    ResolveStep,
    Retry,
    StartSaga,
    TimerFired,
)
from ..instructions import (
    CallParticipant,
    needs_no_recovery,
    next_wakeup,
    pending_instructions,
    recovered,
)
from ..saga import Saga
from ..state import UnrecordedChanges, unrecorded_changes_of, with_unrecorded_changes
from .active_saga import ActiveSaga, Condition
from .calls.circuit_breaker import wake_in_batches
from .calls.executor import Executor
from .child_sagas import ChildSagas
from .clock import Clock
from .completion_webhooks import CompletionWebhooks
from .concurrency import NO_SHARD, ShardTasks
from .errors import OutcomeUnknown, Unavailable, append_error
from .logging import logger
from .saga_repository import SagaRepository
from .sharding.driven_shards import DrivenShards
from .sharding.recovery_barrier import RecoveryBarrier
from .timers import SagaWaker, Timers

RETRY_PAUSE_SECONDS: Final = 0.2
MIN_REWAKE_DELAY: Final = timedelta(seconds=1)
NESTING_LIMIT: Final = 16
TIMER_FIRED: Final = TimerFired()
PROCESS_STOPS: Final = ProcessStops()
CommitObserver = Callable[[Saga, Sequence[RecordedEvent]], None]


class Driver:
    """Drives the sagas of the shards that this node owns.

    `observe` is called with every committed decision: the saga after it, and its events.
    """

    def __init__(
        self,
        repository: SagaRepository,
        executor: Executor,
        webhooks: CompletionWebhooks,
        clock: Clock,
        observe: CommitObserver,
        *,
        nesting_limit: int = NESTING_LIMIT,
    ) -> None:
        """`nesting_limit` is the number of sagas that may be above another one."""
        self.repository, self.executor, self.webhooks = repository, executor, webhooks
        self.clock, self.observe = clock, observe
        self.shards, self.tasks = DrivenShards(), ShardTasks()
        self.recovery_barrier = RecoveryBarrier()
        self.timers = Timers(clock, SagaWaker(self).wake)
        self.child_sagas = ChildSagas(self, repository.registry, nesting_limit)
        self.active: dict[str, ActiveSaga] = {}
        self.unrecorded: dict[str, UnrecordedChanges] = {}  # of sagas that may leave memory
        self.is_stopping = False
        self._to_recover: set[str] = set()
        self._stop_requested = asyncio.Event()
        self._creation_locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    def start(
        self, definition: Definition, saga_id: str, request: StartSaga
    ) -> asyncio.Future[ActiveSaga]:
        """Start a saga; the result is ready once the start is durable.

        A caller that stops waiting does not stop the start: what is in the log must be driven.
        Raises Unavailable; WrongExpectedVersion if the saga exists; OutcomeUnknown if the log
        failed before it confirmed the start.
        """
        if self.is_stopping:
            raise Unavailable("the service is stopping")
        recorded: asyncio.Future[ActiveSaga] = self.tasks.loop.create_future()
        work = self._start(definition, saga_id, request, recorded)
        task = self.spawn(work, saga_id, has_called=True)
        task.add_done_callback(partial(_fail_if_cancelled, recorded))
        return recorded

    def is_in_memory(self, saga_id: str) -> bool:
        return saga_id in self.active

    async def _start(
        self,
        definition: Definition,
        saga_id: str,
        request: StartSaga,
        recorded: asyncio.Future[ActiveSaga],
    ) -> None:
        """Append a start, then run its first calls, whether or not the caller still waits."""
        try:
            now = self.clock.now()
            held = self.executor.held_participants(definition)
            decision = start(definition, saga_id, request, now=now, open_circuits=held)
            updated_at = decision.saga.state.updated_at
            events = await self.repository.append(saga_id, 0, decision.events, at=updated_at)
        except (LogOverloaded, Fenced, LogUnavailable) as error:
            if isinstance(error, Fenced):
                self.shards.mark_fenced(error.shard_id)
            _fail(recorded, append_error(error, saga_id))
            return
        except Exception as error:  # noqa: BLE001 - the caller gets it
            _fail(recorded, error)
            return
        active = ActiveSaga(decision.saga, self)
        self.on_committed(active, decision, events)
        if held:
            self.executor.register_held(decision.saga, held)
        if not recorded.done():
            recorded.set_result(active)
        if decision.calls and active.shard_id in self.shards:
            first, *others = decision.calls
            self.start_calls(active, others)
            await active.run_call_chain(first)

    async def handle(
        self, active: ActiveSaga, input_: Input, *, expected_version: int | None = None
    ) -> None:
        """Handle an input of a saga in memory, and start the calls that follow.

        Runs to completion even if the caller is cancelled. Raises what the core refuses,
        Unavailable, OutcomeUnknown; VersionConflict if the saga is not at `expected_version`.
        """
        work = self._handle(active, input_, expected_version)
        await self.tasks.run_to_completion(active.shard_id, work)

    async def _handle(
        self, active: ActiveSaga, input_: Input, expected_version: int | None
    ) -> None:
        if self.is_stopping and isinstance(input_, Retry | ResolveStep):
            raise Unavailable("the service is stopping, and could not send what this asks for")
        try:
            self.start_calls(active, await active.handle(input_, expected_version))
        except (LogOverloaded, Fenced, LogUnavailable) as error:
            raise append_error(error, active.saga.state.saga_id) from error

    async def deliver(
        self,
        saga_id: str,
        input_: Input,
        *,
        read: Saga | None = None,
        is_recovered: bool = False,
    ) -> None:
        """Handle an input of a saga, which is loaded if it is not in memory; while the log is
        overloaded, try again.

        `read` is the saga as it was read a moment ago, used if it is not in memory.
        """
        while True:
            try:
                async with self.acquire(saga_id, read=read) as active:
                    await self._deliver(active, input_, is_recovered=is_recovered)
                    return
            except WrongExpectedVersion:
                logger.warning("saga outdated, reading it again", extra={"saga_id": saga_id})
                self.drop_outdated(saga_id)
                read = None
                await self.sleep(RETRY_PAUSE_SECONDS)

    async def _deliver(self, active: ActiveSaga, input_: Input, *, is_recovered: bool) -> None:
        version = active.saga.state.version
        calls = await active.handle_until_recorded(input_)
        self.start_calls(active, calls, in_backlog=True, is_recovered=is_recovered)
        saga = active.saga
        if is_recovered and not saga.has_call_in_flight:
            self.recovery_barrier.arrive(saga.state.saga_id)
        due = next_wakeup(saga)
        if saga.state.version == version and due is not None:
            # A clock that stepped back has woken it too early, and its timer is spent.
            self.timers.set(saga.state.saga_id, max(due, self.clock.now() + MIN_REWAKE_DELAY))

    def drop_outdated(self, saga_id: str) -> None:
        """Drop a saga from memory that is behind the log; its next use reads the log."""
        self.active.pop(saga_id, None)

    async def redeliver(self, active: ActiveSaga, call_result: CallCompleted) -> None:
        """Handle a call's result with the saga as it is in the log: `active` is outdated."""
        saga_id = active.saga.state.saga_id
        if self.active.get(saga_id) is active:
            del self.active[saga_id]
        await self.deliver(saga_id, call_result)

    @asynccontextmanager
    async def acquire(
        self, saga_id: str, *, waits_for_log: bool = True, read: Saga | None = None
    ) -> AsyncIterator[ActiveSaga]:
        """Hold the saga, loaded from the log if it is not in memory; one holder at a time.

        Raises SagaNotFound, and what a broken history raises; without `waits_for_log` also
        LogUnavailable.
        """
        async with self.creation_lock(saga_id):
            active = self.active.get(saga_id)
            if active is None:
                saga = read or await self._load(saga_id, waits_for_log=waits_for_log)
                active = self._activate(saga)
            yield active

    async def _load(self, saga_id: str, *, waits_for_log: bool) -> Saga:
        while True:
            try:
                return await self.repository.load(saga_id)
            except LogUnavailable:
                if self.is_stopping or not waits_for_log:
                    raise
            await self.sleep(RETRY_PAUSE_SECONDS)

    async def load(self, saga_id: str) -> Saga:
        """Return the saga from memory, else from the log. Raises SagaNotFound, LogUnavailable."""
        active = self.active.get(saga_id)
        return active.saga if active is not None else await self.repository.load(saga_id)

    async def load_many(
        self, saga_ids: Callable[[], Sequence[str]]
    ) -> Mapping[str, Saga | Exception]:
        """Load sagas once the log can be read; `saga_ids` is called before each attempt.

        Returns nothing if the service stops.
        """
        while not self.is_stopping and (page := saga_ids()):
            try:
                return await self.repository.load_many(page)
            except LogUnavailable as error:
                logger.warning("sagas could not be read", extra={"error": str(error)})
            await self.sleep(RETRY_PAUSE_SECONDS)
        return {}

    async def watch(
        self, saga_id: str, condition: Condition
    ) -> tuple[ActiveSaga, asyncio.Future[Saga]]:
        """Return the saga and a future of its first state that fulfils `condition`.

        The saga stays in memory until `evict_if_idle`. Raises SagaNotFound, LogUnavailable.
        """
        active = self.active.get(saga_id)
        if active is not None:
            return active, active.wait_for(condition)
        async with self.acquire(saga_id, waits_for_log=False) as active:
            reached = active.wait_for(condition)
            if active.is_needed_in_memory(self.clock.now(), next_wakeup(active.saga)):
                self.active[saga_id] = active
            return active, reached

    def evict_if_idle(self, active: ActiveSaga) -> None:
        """Evict a saga that is no longer watched, if nothing else needs it in memory."""
        saga_id = active.saga.state.saga_id
        if self.active.get(saga_id) is not active:
            return
        if not active.is_needed_in_memory(self.clock.now(), next_wakeup(active.saga)):
            del self.active[saga_id]

    def creation_lock(self, saga_id: str) -> asyncio.Lock:
        """Return the lock of the saga that serialises creating and loading."""
        return self._creation_locks.setdefault(saga_id, asyncio.Lock())

    def with_unrecorded(self, saga: Saga) -> Saga:
        """Return a saga that was read from the log, with what only this process knows of it."""
        changes = self.unrecorded.get(saga.state.saga_id)
        if changes is None:
            return saga
        return Saga(saga.definition, with_unrecorded_changes(saga.state, changes))

    def drives(self, saga_id: str) -> bool:
        """True if the shard of the saga is driven here and not draining."""
        return self.shards.drives(saga_id)

    def acquire_shards(self, epochs: Mapping[int, int], to_recover: Collection[str]) -> None:
        """Serve the shards of `epochs` from now on; `to_recover` are their interrupted sagas."""
        self._to_recover.update(to_recover)
        self.recovery_barrier.expect(to_recover)
        self.shards.acquire(epochs)

    def schedule(self, saga_id: str, wake_at: datetime | None) -> None:
        """Set the timer of a saga that is asleep; it is not loaded before."""
        self.timers.set(saga_id, wake_at)

    def still_to_recover(self, saga_ids: Iterable[str]) -> list[str]:
        """Return the sagas that no request has recovered, and whose shards are still driven."""
        return [saga_id for saga_id in saga_ids if saga_id in self._to_recover]

    async def recover(self, saga: Saga) -> bool:
        """Resume a saga as it was read; return False if it is at rest or was resumed before."""
        saga_id = saga.state.saga_id
        async with self.creation_lock(saga_id):
            if saga_id not in self._to_recover:
                return False
            active = self._activate(saga)
            return self.active.get(saga_id) is active

    def skip_recovery(self, saga_id: str) -> None:
        """Leave a saga as it is: its history cannot be replayed."""
        self._to_recover.discard(saga_id)
        self.recovery_barrier.arrive(saga_id)

    def _activate(self, saga: Saga) -> ActiveSaga:
        """Bring a saga into memory; resume it if a crash has interrupted it."""
        saga_id = saga.state.saga_id
        if saga_id not in self._to_recover:
            return ActiveSaga(self.with_unrecorded(saga), self)
        self._to_recover.discard(saga_id)
        if not needs_no_recovery(saga):
            return self._resume(saga)
        self.recovery_barrier.arrive(saga_id)
        return ActiveSaga(saga, self)

    def _resume(self, saga: Saga) -> ActiveSaga:
        """Send again what the crashed process has sent, unless the saga compensates; then go on."""
        saga_id, saga = saga.state.saga_id, recovered(saga, self.clock.now())
        active = self.active[saga_id] = ActiveSaga(saga, self)
        wakeup = next_wakeup(saga)
        is_due = wakeup is not None and wakeup <= self.clock.now()
        self.timers.set(saga_id, None if is_due else wakeup)
        if saga.has_pending_webhook:
            self.spawn(self.webhooks.deliver_until_acknowledged(self, saga_id), saga_id)
        for instruction in pending_instructions(saga):
            if isinstance(instruction, CallParticipant):
                work = active.run_call_chain(
                    instruction, resent=True, in_backlog=True, is_recovered=True
                )
                self.spawn(work, saga_id, has_called=True)
            else:
                self.spawn(self.child_sagas.execute(instruction), saga_id)
        self.spawn(self.deliver(saga_id, TIMER_FIRED, is_recovered=True), saga_id)
        return active

    def drain_shards(self, shard_ids: Collection[int]) -> None:
        """Start nothing new in these shards."""
        self.shards.drain(shard_ids)
        self._persist_unrecorded()

    def drop_shards(self, shard_ids: Collection[int]) -> None:
        """Drop everything in memory about these shards: another node drives them, or will."""
        dropped = set(shard_ids)

        def is_dropped(saga_id: str) -> bool:
            return shard_of(saga_id) in dropped

        for shard_id in dropped:
            self.tasks.cancel(shard_id)
        self._to_recover = {saga_id for saga_id in self._to_recover if not is_dropped(saga_id)}
        self.recovery_barrier.discard(is_dropped)
        for saga_id in list(filter(is_dropped, self.active)):
            self.active.pop(saga_id).release_watchers()
        self.timers.discard(is_dropped)
        for saga_id in list(filter(is_dropped, self.unrecorded)):
            del self.unrecorded[saga_id]
        self.shards.drop(dropped)

    def begin_stop(self) -> None:
        """Send nothing new from now on, and end the waits of all callers."""
        self.is_stopping = True
        self._stop_requested.set()
        for active in self.active.values():
            active.release_watchers()

    async def drain(self, within: timedelta) -> None:
        """Record the results that arrive within that time, and drop the rest as a crash would."""
        self.begin_stop()
        self._persist_unrecorded()
        await self.tasks.drain(within)

    def _persist_unrecorded(self) -> None:
        """Record what only this process knows of sagas that it releases."""
        for saga_id in list(self.unrecorded):
            if self.is_stopping or self.shards.is_draining(shard_of(saga_id)):
                self.spawn(self.deliver(saga_id, PROCESS_STOPS), saga_id, has_called=True)

    async def sleep(self, seconds: float) -> None:
        """Sleep, cut short when the service begins to stop."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._stop_requested.wait()

    def may_send(self, shard_id: int) -> bool:
        """False if nothing new may be sent for sagas of the shard."""
        return not self.is_stopping and not self.shards.is_draining(shard_id)

    def on_committed(
        self, active: ActiveSaga, decision: Decision, recorded: Sequence[RecordedEvent]
    ) -> None:
        """Publish a durable decision, and begin what it instructs."""
        saga = decision.saga
        saga_id = saga.state.saga_id
        active.update(saga)
        self.observe(saga, recorded)
        self.unrecorded.pop(saga_id, None)
        for instruction in decision.children:
            self.spawn(self.child_sagas.execute(instruction), saga_id)
        if active.shard_id not in self.shards:  # this was the last append that succeeded
            return
        if saga.state.status.is_at_rest:
            self._on_rest(saga)
        self._schedule(active, saga.state.updated_at, has_calls=bool(decision.calls))

    def _on_rest(self, saga: Saga) -> None:
        saga_id, parent = saga.state.saga_id, saga.state.parent
        if parent is not None:
            self.spawn(self.child_sagas.notify_parent(saga), parent.saga_id)
        if saga.has_pending_webhook and not self.webhooks.is_delivering(saga_id):
            self.spawn(self.webhooks.deliver_until_acknowledged(self, saga_id), saga_id)

    def on_unrecorded(self, active: ActiveSaga, decision: Decision) -> None:
        """Keep a decision that is not worth an event: only this process knows of it."""
        saga = decision.saga
        active.update(saga)
        if active.shard_id not in self.shards:
            return
        if saga.state.unrecorded:
            self.unrecorded[saga.state.saga_id] = unrecorded_changes_of(saga.state)
        self._schedule(active, self.clock.now(), has_calls=bool(decision.calls))

    def set_timer(self, saga: Saga) -> None:
        """Wake the saga at the time that its state says."""
        self.timers.set(saga.state.saga_id, next_wakeup(saga))

    def _schedule(self, active: ActiveSaga, now: datetime, *, has_calls: bool) -> None:
        """Set the timer of the saga, and keep it in memory if it is needed there."""
        saga_id, wakeup = active.saga.state.saga_id, next_wakeup(active.saga)
        self.timers.set(saga_id, wakeup)
        if has_calls or active.is_needed_in_memory(now, wakeup):
            self.active[saga_id] = active
        elif self.active.get(saga_id) is active:
            del self.active[saga_id]

    def start_calls(
        self,
        active: ActiveSaga,
        calls: Sequence[CallParticipant],
        *,
        in_backlog: bool = False,
        is_recovered: bool = False,
    ) -> None:
        """Run a chain for each of the calls."""
        for call in calls if active.shard_id in self.shards else ():
            work = active.run_call_chain(call, in_backlog=in_backlog, is_recovered=is_recovered)
            self.spawn(work, call.saga_id, has_called=True)

    def wake(self, saga_id: str, input_: Input = TIMER_FIRED, *, read: Saga | None = None) -> None:
        """Deliver an input to the saga in a task of its own.

        Ignored when the driver is stopping or no longer drives the saga.
        """
        if not self.is_stopping and self.drives(saga_id):
            self.spawn(self.deliver(saga_id, input_, read=read), saga_id)

    def wake_held(self) -> None:
        """Wake the sagas whose calls were held by circuits that are closed now."""
        for participant, saga_ids in self.executor.take_closed_circuits():
            self.spawn_for_many(wake_in_batches(participant, saga_ids, self.wake))

    def sagas_awaiting_urls(self) -> Mapping[str, int]:
        """Return the number of waiting sagas of this node by participant without a URL."""
        return self.executor.missing_urls.waiting_sagas(self.drives)

    def spawn(
        self, work: Coroutine[Any, Any, None], saga_id: str, *, has_called: bool = False
    ) -> asyncio.Task[None]:
        """Run `work` for the saga in a task; `has_called`: it sends calls or records results."""
        supervised = self._supervise(work, saga_id, has_called)
        return self.tasks.spawn(shard_of(saga_id), supervised, calls=has_called)

    def spawn_for_many(self, work: Coroutine[Any, Any, None]) -> None:
        """Run `work` for sagas of any shard in a task."""
        self.tasks.spawn(NO_SHARD, work, calls=False)

    async def _supervise(
        self, work: Coroutine[Any, Any, None], saga_id: str, has_called: bool
    ) -> None:
        """Run `work`; if it fails, release the saga. The top of every task of a saga."""
        try:
            await work
        except (Fenced, LogUnavailable, Unavailable) as error:
            logger.warning("saga released", extra={"saga_id": saga_id, "error": str(error)})
            self._release(saga_id, has_called)
        except Exception:  # noqa: BLE001 - one saga never affects another
            logger.exception("saga quarantined", extra={"saga_id": saga_id})
            self._release(saga_id, has_called)

    def _release(self, saga_id: str, has_called: bool) -> None:
        """Evict the saga from memory, unless one of its calls is in flight: the task that awaits
        that reply still uses it."""
        active = self.active.get(saga_id)
        awaits_reply = (
            active is not None
            and active.saga.has_call_in_flight
            and not active.saga.state.reply_deadlines
        )
        if awaits_reply and not has_called:
            return
        self.timers.set(saga_id, None)
        if active is not None:
            del self.active[saga_id]
            active.release_watchers()


def _fail(recorded: asyncio.Future[ActiveSaga], error: Exception) -> None:
    if not recorded.done():
        recorded.set_exception(error)
        recorded.exception()  # retrieved here: the caller may have gone


def _fail_if_cancelled(recorded: asyncio.Future[ActiveSaga], _: asyncio.Task[None]) -> None:
    """The task of a start may be cancelled at any time, even before it began."""
    _fail(recorded, OutcomeUnknown("the start was dropped while it was recorded"))
