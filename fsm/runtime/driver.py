"""Drives sagas: decide, append, then call; and again with what the participant answered.

    happening ──> decide ──> append (durable) ──> calls leave ──> their answers are happenings

Nothing leaves before the decision that intends it is committed (R1). One saga is decided about by
one happening at a time; sagas do not wait for one another, except in the log's group commit. The
chain call-answer-call of a saga is one task. All memory here can be lost: `resume` rebuilds it.

A saga whose history or events are refused is quarantined: it is left as it stands in the log, with
an error in ours, and blocks nobody. A driver drives the shards of `epochs`. One of them may retire:
what is on its way is still heard, nothing new is sent, and then another node goes on with it.

Sagas that a crash has left are taken up page by page while their shards are already served, and at
once if a request or a message needs one of them before.
"""

from __future__ import annotations

import asyncio
from collections.abc import (
    AsyncIterator,
    Awaitable,
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
from typing import Any
from weakref import WeakValueDictionary

from ...eventstore.errors import Fenced, LogOverloaded, LogUnavailable, WrongExpectedVersion
from ...eventstore.event import RecordedEvent, shard_of
from ..call_outcome import OpenCircuit, Outcome
from ..decider.decide import decide, start
from ..decider.decision import Decision
from ..definitions.definition import Definition
from ..inputs import CallCompleted, Input, ProcessStops, ResolveStep, Retry, StartSaga, TimerFired
from ..instructions import (
    CallParticipant,
    awaiting_replies,
    needs_no_recovery,
    next_wakeup,
    pending_instructions,
    recovered,
    resends_no_actions,
)
from ..saga import Saga
from ..state import UnrecordedChanges, unrecorded_changes_of, with_unrecorded_changes
from .active_saga import ActiveSaga, Condition, is_still_wanted, without_calls
from .calls.circuit_breaker import CircuitWaker
from .calls.executor import NOT_WANTED, Executor
from .child_sagas import OVERLOAD_RETRY_SECONDS, ChildSagas
from .clock import Clock
from .completion_webhooks import CompletionWebhooks
from .concurrency import ShardTasks
from .errors import OutcomeUnknown, Unavailable, VersionConflict, append_error
from .logging import logger
from .saga_repository import SagaRepository
from .sharding.recovery_barrier import RecoveryBarrier
from .timers import SagaWaker, Timers

RETRY_PAUSE_SECONDS = 0.2
MIN_REWAKE_DELAY = timedelta(seconds=1)
NESTING_LIMIT = 16
TIMER_FIRED = TimerFired()
PROCESS_LEAVES = ProcessStops()
CommitObserver = Callable[[Saga, Sequence[RecordedEvent]], None]


class Driver:
    """`observe` is told of every committed decision, with the saga that it made.

    `fenced` are shards that another process has claimed: nothing can be recorded there any more.
    `is_current`: nobody can have claimed a shard yet without this process knowing.
    """

    def __init__(
        self,
        journal: SagaRepository,
        executor: Executor,
        callbacks: CompletionWebhooks,
        clock: Clock,
        observe: CommitObserver,
        *,
        nesting_limit: int = NESTING_LIMIT,
    ) -> None:
        self.repository, self.executor, self.webhooks = journal, executor, callbacks
        self.clock, self.observe = clock, observe
        self.nesting_limit = nesting_limit  # sagas that may stand above another one
        self.timers = Timers(clock, SagaWaker(self).wake)
        self.child_sagas = ChildSagas(self)
        executor.closed = CircuitWaker(self).on_circuit_closed
        self.epochs: dict[int, int] = {}
        self.draining: set[int] = set()
        self.fenced: set[int] = set()
        self.active: dict[str, ActiveSaga] = {}
        self.unrecorded: dict[
            str, UnrecordedChanges
        ] = {}  # what is not recorded, of sagas that may leave memory
        self._to_recover: set[str] = set()
        self.stopping = False
        self.is_current: Callable[[], bool] = lambda: True
        self._stop_requested = asyncio.Event()
        self._creation_locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self.tasks, self.recovery_barrier = ShardTasks(), RecoveryBarrier()

    def start(
        self, definition: Definition, saga_id: str, request: StartSaga
    ) -> asyncio.Future[ActiveSaga]:
        """To be awaited until it is durable. Raises NotServing; WrongExpectedVersion if it exists.

        Raises InDoubt if the log went away before it said whether the start is durable.

        A caller who gives up waiting does not stop it: what lands in the log must be driven.
        """
        if self.stopping:
            raise Unavailable("the service is stopping")
        start = SagaStart(self, definition, saga_id, request)
        self.spawn(start.run(), saga_id, has_called=True).add_done_callback(start.on_task_done)
        return start.recorded

    async def handle(
        self, live: ActiveSaga, happening: Input, *, expected_version: int | None = None
    ) -> None:
        """Let `happening` have its consequences. Raises what the core refuses, NotServing, InDoubt.

        Raises VersionMoved if the saga is not at `expected_version` any more.
        """
        work = self._handle(live, happening, expected_version)
        await self.tasks.run_to_completion(live.shard_id, work)

    async def _handle(
        self, live: ActiveSaga, happening: Input, expected_version: int | None = None
    ) -> None:
        if self.stopping and isinstance(happening, Retry | ResolveStep):
            raise Unavailable("the service is stopping, and could not send what this asks for")
        try:
            self.start_calls(live, await self._decide(live, happening, expected_version))
        except (LogOverloaded, Fenced, LogUnavailable) as error:
            raise append_error(error, live.saga.state.saga_id) from error

    async def deliver(
        self,
        saga_id: str,
        happening: Input,
        *,
        read: Saga | None = None,
        is_first_move: bool = False,
    ) -> None:
        """As `happen`, wherever the saga is and however busy the log is.

        `read` is the saga as it was read a moment ago, which is used if it is not in memory.
        """
        while True:
            try:
                async with self.acquire(saga_id, read=read) as live:
                    await self._deliver(live, happening, is_first_move=is_first_move)
                    return
            except WrongExpectedVersion:
                logger.warning("saga read again", extra={"saga_id": saga_id})
                self.active.pop(saga_id, None)
                read = None
                await self.sleep(RETRY_PAUSE_SECONDS)

    async def _deliver(self, live: ActiveSaga, happening: Input, *, is_first_move: bool) -> None:
        version = live.saga.state.version
        calls = await self._decide_until_recorded(live, happening)
        self.start_calls(live, calls, in_backlog=True, is_first_move=is_first_move)
        if is_first_move and not live.saga.has_call_in_flight:
            self.recovery_barrier.arrive(live.saga.state.saga_id)
        due = next_wakeup(live.saga)
        if live.saga.state.version == version and due is not None:
            # It was woken for nothing, by a clock that has stepped back: its timer is gone.
            self.timers.set(live.saga.state.saga_id, max(due, self.clock.now() + MIN_REWAKE_DELAY))

    @asynccontextmanager
    async def acquire(
        self, saga_id: str, *, patiently: bool = True, read: Saga | None = None
    ) -> AsyncIterator[ActiveSaga]:
        """The saga, brought back into memory if it rests; one holder at a time.

        Whoever is not patient is told with LogUnavailable that the log cannot be read now.
        Raises SagaNotFound, and what a broken history raises.
        """
        async with self.creation_lock(saga_id):
            live = self.active.get(saga_id)
            if live is None:
                saga = read or await self._load(saga_id, patiently=patiently)
                live = self._activate(saga)
            yield live

    async def _load(self, saga_id: str, *, patiently: bool) -> Saga:
        """A wake-up, a report or an answer is not thrown away because the log cannot be read."""
        while True:
            try:
                return await self.repository.load(saga_id)
            except LogUnavailable:
                if self.stopping or not patiently:
                    raise
            await self.sleep(RETRY_PAUSE_SECONDS)

    async def load_many(
        self, wanted: Callable[[], Sequence[str]]
    ) -> Mapping[str, Saga | Exception]:
        """Read the sagas that are `wanted`, once the log can be read; none if the service stops."""
        while not self.stopping and (saga_ids := wanted()):
            try:
                return await self.repository.load_many(saga_ids)
            except LogUnavailable as error:
                logger.warning("sagas are not read yet", extra={"why": str(error)})
            await self.sleep(RETRY_PAUSE_SECONDS)
        return {}

    async def watch(
        self, saga_id: str, condition: Condition
    ) -> tuple[ActiveSaga, asyncio.Future[Saga]]:
        """The saga, kept in memory until `leave`, and what comes once it fulfils `condition`."""
        live = self.active.get(saga_id)
        if live is not None:
            return live, live.wait_for(condition, self.tasks.loop)
        async with self.acquire(saga_id, patiently=False) as live:
            reached = live.wait_for(condition, self.tasks.loop)
            if live.is_needed_in_memory(self.clock.now(), next_wakeup(live.saga)):
                self.active[saga_id] = live
            return live, reached

    def creation_lock(self, saga_id: str) -> asyncio.Lock:
        """What keeps two from bringing the same saga into being, or back."""
        return self._creation_locks.setdefault(saga_id, asyncio.Lock())

    def schedule(self, saga_id: str, wake_at: datetime | None) -> None:
        """Take up a saga that only waits: it stays where it is until then."""
        self.timers.set(saga_id, wake_at)

    def acquire_shards(self, epochs: Mapping[int, int], not_taken_up: Collection[str]) -> None:
        """Serve the shards of `epochs` from now on; `not_taken_up` are sagas of them to resume."""
        self._to_recover.update(not_taken_up)
        self.recovery_barrier.expect(not_taken_up)
        self.epochs.update(epochs)

    def still_to_recover(self, saga_ids: Iterable[str]) -> list[str]:
        """Those that no request has taken up meanwhile, and whose shards are still driven here."""
        return [one for one in saga_ids if one in self._to_recover]

    async def recover(self, saga: Saga) -> bool:
        """Go on with a saga as it was read; False if it rests, or goes on already."""
        saga_id = saga.state.saga_id
        async with self.creation_lock(saga_id):
            if saga_id not in self._to_recover:
                return False
            live = self._activate(saga)
            return self.active.get(saga_id) is live

    def skip_recovery(self, saga_id: str) -> None:
        """Do not take up a saga, as nothing can be done about it."""
        self._to_recover.discard(saga_id)
        self.recovery_barrier.arrive(saga_id)

    def _activate(self, saga: Saga) -> ActiveSaga:
        """The saga in memory; the first time after a crash it goes on."""
        saga_id = saga.state.saga_id
        if saga_id not in self._to_recover:
            return ActiveSaga(self.with_unrecorded(saga))
        self._to_recover.discard(saga_id)
        if not needs_no_recovery(saga):
            return self._resume(saga)
        self.recovery_barrier.arrive(saga_id)
        return ActiveSaga(saga)

    def _resume(self, saga: Saga) -> ActiveSaga:
        """Send again what the process before has sent, unless the saga goes back; then go on."""
        saga_id, saga = saga.state.saga_id, recovered(saga, self.clock.now())
        live = self.active[saga_id] = ActiveSaga(saga)
        wake = next_wakeup(saga)
        self.timers.set(saga_id, wake if wake is None or wake > self.clock.now() else None)
        if saga.has_pending_webhook:
            self.spawn(self.webhooks.deliver_until_acknowledged(self, saga_id), saga_id)
        for command in pending_instructions(saga):
            if isinstance(command, CallParticipant):
                work = self.run_call_chain(
                    live, command, resent=True, in_backlog=True, is_first_move=True
                )
                self.spawn(work, saga_id, has_called=True)
            else:
                self.spawn(self.child_sagas.execute(command), saga_id)
        self.spawn(self.deliver(saga_id, TIMER_FIRED, is_first_move=True), saga_id)
        return live

    def drives(self, saga_id: str) -> bool:
        """Whether all that is asked of the saga can be done here."""
        shard_id = shard_of(saga_id)
        return shard_id in self.epochs and shard_id not in self.draining

    def drain_shards(self, shard_ids: Collection[int]) -> None:
        """Send nothing new of these shards."""
        self.draining.update(shard_ids)
        self._persist_unrecorded()

    def drop_shards(self, shard_ids: Collection[int]) -> None:
        """Drop all that is known of these shards: somebody else drives them, or will."""
        gone = set(shard_ids)
        for shard_id in gone:
            self.epochs.pop(shard_id, None)
            self.tasks.cancel(shard_id)
        self._to_recover = {one for one in self._to_recover if shard_of(one) not in gone}
        self.recovery_barrier.discard(lambda saga_id: shard_of(saga_id) in gone)
        for saga_id in [one for one in self.active if shard_of(one) in gone]:
            self.active.pop(saga_id).release_watchers()
        self.timers.discard(lambda saga_id: shard_of(saga_id) in gone)
        for saga_id in [one for one in self.unrecorded if shard_of(one) in gone]:
            del self.unrecorded[saga_id]
        self.draining -= gone
        self.fenced -= gone

    def begin_stop(self) -> None:
        """Send nothing new from now on, and keep nobody waiting."""
        self.stopping = True
        self._stop_requested.set()
        for live in self.active.values():
            live.release_watchers()

    async def drain(self, within: timedelta) -> None:
        """Record what is still answered within that time, and drop the rest as a crash would."""
        self.begin_stop()
        self._persist_unrecorded()
        await self.tasks.drain(within)

    def _persist_unrecorded(self) -> None:
        """Let the next process know what this one alone knows of sagas that it leaves."""
        for saga_id in list(self.unrecorded):
            if self.stopping or shard_of(saga_id) in self.draining:
                self.spawn(self.deliver(saga_id, PROCESS_LEAVES), saga_id, has_called=True)

    async def run_call_chain(
        self,
        live: ActiveSaga,
        call: CallParticipant,
        *,
        resent: bool = False,
        in_backlog: bool = False,
        is_first_move: bool = False,
    ) -> None:
        """One call, and those that follow.

        `resent`: the process before has sent it already. `in_backlog`: no client waits for it.
        After a first move the others' first moves come before the next call.
        """
        calls: Sequence[CallParticipant] = (call,)
        while calls:
            first = calls[0]
            if len(calls) > 1:
                self.start_calls(live, calls[1:], in_backlog=in_backlog)
            verdict = await self.executor.call(
                first,
                live.saga.definition,
                self.epochs[live.shard_id],
                partial(self._may_send, live, first, resent, is_first_move),
                in_backlog=in_backlog,
            )
            if verdict is NOT_WANTED and resent and await self._awaits_reply_instead(live, first):
                return
            answer = CallCompleted(
                step=first.step,
                direction=first.direction,
                attempt=first.attempt,
                outcome=verdict,
                resent=resent,
            )
            try:
                try:
                    calls = await self._decide(live, answer)
                except LogOverloaded:
                    calls = await self._decide_until_recorded(live, answer)
            except WrongExpectedVersion:
                # Somebody else holds a newer state: what was answered still counts there.
                if self.active.get(first.saga_id) is live:
                    del self.active[first.saga_id]
                await self.deliver(first.saga_id, answer)
                return
            resent = False
            if is_first_move and calls and not self.recovery_barrier.is_open:
                await self.recovery_barrier.wait()

    def _may_send(
        self, live: ActiveSaga, call: CallParticipant, resent: bool, is_first_move: bool
    ) -> bool:
        """True if a call whose turn has come is still to be sent."""
        if is_first_move:
            self.recovery_barrier.arrive(call.saga_id)
        return is_still_wanted(live, call, resent=resent, now=self.clock.now)

    async def _awaits_reply_instead(self, live: ActiveSaga, call: CallParticipant) -> bool:
        """True if the saga goes back by now: then a call that a process which died may have sent
        is not sent again, but waited for."""
        if not live.lock.try_acquire():
            await live.lock.acquire()
        try:
            now = self.clock.now()
            waits = resends_no_actions(live.saga, now)
            if waits:
                live.update(awaiting_replies(live.saga, [call.step], now))
                self.timers.set(call.saga_id, next_wakeup(live.saga))
            return waits
        finally:
            live.lock.release()

    async def _decide_until_recorded(
        self, live: ActiveSaga, happening: Input
    ) -> Sequence[CallParticipant]:
        """An answer is not thrown away because the log is busy."""
        while True:
            try:
                return await self._decide(live, happening)
            except LogOverloaded:
                await asyncio.sleep(OVERLOAD_RETRY_SECONDS)

    async def _decide(
        self, live: ActiveSaga, happening: Input, expected_version: int | None = None
    ) -> Sequence[CallParticipant]:
        """The calls that are to leave now: their intent is durable."""
        turn, clock = live.lock, self.clock
        if not turn.try_acquire():
            await turn.acquire()
        try:
            saga = live.saga
            if expected_version is not None and saga.state.version != expected_version:
                raise VersionConflict(saga.state.saga_id, saga.state.version)
            held = self.executor.held_participants(saga.definition)
            decision = decide(saga, happening, now=clock.now(), jitter=clock.jitter(), held=held)
            if self.stopping or live.shard_id in self.draining:
                decision = without_calls(saga, decision)
            if decision.events:
                recorded = await self.append(saga.state.version, decision)
                self.on_committed(live, decision, recorded)
            elif decision.saga is not saga:
                self._on_unrecorded(live, decision)
            if held:
                self.watch_circuits(decision.saga, held)
        except Fenced as error:
            self.fenced.add(error.shard_id)
            raise
        finally:
            turn.release()
        return decision.calls

    def append(self, version: int, decision: Decision) -> Awaitable[Sequence[RecordedEvent]]:
        """To be awaited until it is durable."""
        state = decision.saga.state
        return self.repository.append(state.saga_id, version, decision.events, at=state.updated_at)

    def on_committed(
        self, live: ActiveSaga, decision: Decision, recorded: Sequence[RecordedEvent]
    ) -> None:
        """What was decided is durable: everybody may know, and what it commands begins."""
        saga = decision.saga
        saga_id = saga.state.saga_id
        live.update(saga)
        self.observe(saga, recorded)
        self.unrecorded.pop(saga_id, None)
        for command in decision.children:
            self.spawn(self.child_sagas.execute(command), saga_id)
        if live.shard_id not in self.epochs:  # it was the last thing that could be recorded
            return
        if saga.state.status.is_at_rest:
            self._on_rest(saga)
        self._set_timer(live, saga.state.updated_at, has_calls=bool(decision.calls))

    def _on_rest(self, saga: Saga) -> None:
        saga_id, parent = saga.state.saga_id, saga.state.parent
        if parent is not None:
            self.spawn(self.child_sagas.notify_parent(saga), parent.saga_id)
        if saga.has_pending_webhook and not self.webhooks.is_delivering(saga_id):
            self.spawn(self.webhooks.deliver_until_acknowledged(self, saga_id), saga_id)

    def _on_unrecorded(self, live: ActiveSaga, decision: Decision) -> None:
        """What was decided is not to be recorded: this process alone knows of it."""
        saga = decision.saga
        saga_id = saga.state.saga_id
        live.update(saga)
        if live.shard_id not in self.epochs:
            return
        if saga.state.unrecorded:
            self.unrecorded[saga_id] = unrecorded_changes_of(saga.state)
        self._set_timer(live, self.clock.now(), has_calls=bool(decision.calls))

    def _set_timer(self, live: ActiveSaga, now: datetime, *, has_calls: bool) -> None:
        """Set the timer of the saga, and keep it in memory if it is needed there."""
        saga_id, wake = live.saga.state.saga_id, next_wakeup(live.saga)
        self.timers.set(saga_id, wake)
        if has_calls or live.is_needed_in_memory(now, wake):
            self.active[saga_id] = live
        elif self.active.get(saga_id) is live:
            del self.active[saga_id]

    def watch_circuits(self, saga: Saga, held: Mapping[str, OpenCircuit]) -> None:
        """Be told once those are back from which calls of the saga are held back."""
        waited_for = {
            step.participant
            for step, state in saga.steps
            if state.last_outcome is Outcome.CIRCUIT_OPEN and step.participant in held
        }
        unaddressed = self.executor.missing_urls
        back = waited_for - unaddressed.participants_of(
            saga.definition
        )  # the others come with a restart
        self.executor.wake_when_closed(back, saga.state.saga_id)
        unaddressed.update(saga)

    def sagas_awaiting_urls(self) -> Mapping[str, int]:
        """Return the participants without a URL, with how many sagas of this node wait for them."""
        return self.executor.missing_urls.waiting_sagas(self.drives)

    def with_unrecorded(self, saga: Saga) -> Saga:
        """The saga that was read from its log, with what this process knows beside that."""
        kept = self.unrecorded.get(saga.state.saga_id)
        return (
            saga
            if kept is None
            else Saga(saga.definition, with_unrecorded_changes(saga.state, kept))
        )

    def evict_if_idle(self, live: ActiveSaga) -> None:
        """Forget a saga that nobody waits for any more, if it can be forgotten."""
        saga_id = live.saga.state.saga_id
        if self.active.get(saga_id) is not live:
            return
        if not live.is_needed_in_memory(self.clock.now(), next_wakeup(live.saga)):
            del self.active[saga_id]

    async def sleep(self, seconds: float) -> None:
        """Cut short when the service begins to stop."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._stop_requested.wait()

    def start_calls(
        self,
        live: ActiveSaga,
        calls: Sequence[CallParticipant],
        *,
        in_backlog: bool = False,
        is_first_move: bool = False,
    ) -> None:
        for call in calls if live.shard_id in self.epochs else ():
            work = self.run_call_chain(
                live, call, in_backlog=in_backlog, is_first_move=is_first_move
            )
            self.spawn(work, call.saga_id, has_called=True)

    def wake(
        self, saga_id: str, happening: Input = TIMER_FIRED, *, read: Saga | None = None
    ) -> None:
        """Unless it is not, or not any more, for this driver to go on with it."""
        if not self.stopping and self.drives(saga_id):
            self.spawn(self.deliver(saga_id, happening, read=read), saga_id)

    def spawn(
        self, work: Coroutine[Any, Any, None], saga_id: str, *, has_called: bool = False
    ) -> asyncio.Task[None]:
        guarded = self._supervise(work, saga_id, has_called)
        return self.tasks.spawn(shard_of(saga_id), guarded, calls=has_called)

    async def _supervise(
        self, work: Coroutine[Any, Any, None], saga_id: str, has_called: bool
    ) -> None:
        """The top of every task."""
        try:
            await work
        except (Fenced, LogUnavailable, Unavailable) as error:
            logger.warning("saga let go", extra={"saga_id": saga_id, "why": str(error)})
            self._release(saga_id, has_called)
        except Exception:  # noqa: BLE001 - one saga never takes another with it
            logger.exception("saga quarantined", extra={"saga_id": saga_id})
            self._release(saga_id, has_called)

    def _release(self, saga_id: str, has_called: bool) -> None:
        """Not while another one's call is out: whoever has sent it still holds the saga."""
        live = self.active.get(saga_id)
        awaits = (
            live is not None
            and live.saga.has_call_in_flight
            and not live.saga.state.reply_deadlines
        )
        if awaits and not has_called:
            return
        self.timers.set(saga_id, None)
        if live is not None:
            del self.active[saga_id]
            live.release_watchers()


class SagaStart:
    def __init__(
        self, driver: Driver, definition: Definition, saga_id: str, request: StartSaga
    ) -> None:
        self.driver, self.definition = driver, definition
        self.saga_id, self.request = saga_id, request
        self.recorded: asyncio.Future[ActiveSaga] = driver.tasks.loop.create_future()

    async def run(self) -> None:
        driver = self.driver
        try:
            now = driver.clock.now()
            held = driver.executor.held_participants(self.definition)
            decision = start(self.definition, self.saga_id, self.request, now=now, held=held)
            recorded = await driver.append(0, decision)
        except (LogOverloaded, Fenced, LogUnavailable) as error:
            if isinstance(error, Fenced):
                driver.fenced.add(error.shard_id)
            self._fail(append_error(error, self.saga_id))
            return
        except Exception as error:  # noqa: BLE001 - whoever asked for the start is told
            self._fail(error)
            return
        live = ActiveSaga(decision.saga)
        driver.on_committed(live, decision, recorded)
        if held:
            driver.watch_circuits(decision.saga, held)
        if not self.recorded.done():
            self.recorded.set_result(live)
        if decision.calls and live.shard_id in driver.epochs:
            first, *others = decision.calls
            driver.start_calls(live, others)
            await driver.run_call_chain(live, first)

    def on_task_done(self, _: asyncio.Task[None]) -> None:
        """Its task is over, and may have been dropped at any time, even before it began."""
        if not self.recorded.done():
            self._fail(OutcomeUnknown("the start was dropped while it was recorded"))

    def _fail(self, error: Exception) -> None:
        if not self.recorded.done():
            self.recorded.set_exception(error)
            self.recorded.exception()  # whoever asked may have gone
