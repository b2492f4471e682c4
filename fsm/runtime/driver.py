"""Drives sagas: decide, append, then call; and again with what the participant answered.

    happening ──> decide ──> append (durable) ──> calls leave ──> their answers are happenings

Nothing leaves before the decision that intends it is committed (R1). One saga is decided about by
one happening at a time; sagas do not wait for one another, except in the log's group commit. The
chain call-answer-call of a saga is one task. All memory here can be lost: `resume` rebuilds it.

A saga whose history or events are refused is quarantined: it is left as it stands in the log, with
an error in ours, and blocks nobody.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import suppress
from datetime import timedelta
from typing import Any, TypeVar

from ...eventstore import Fenced, LogOverloaded, LogUnavailable, RecordedEvent, shard_of
from ..command import CallParticipant, commands, wake_up
from ..decide import Decision, decide, start
from ..definition import Definition
from ..events import CompensationCalled, Event, StatusAsked, StepCalled
from ..happening import CallAnswered, CallbackTold, Happening, StartRequested, TimePassed
from ..saga import Saga
from .callbacks import Callbacks
from .clock import Clock
from .errors import NotServing
from .executor import Executor
from .journal import Journal
from .live import Live
from .log import logger
from .timers import Timers

OVERLOAD_PAUSE_SECONDS = 0.1
Result = TypeVar("Result")
Observer = Callable[[Saga, Sequence[RecordedEvent]], None]


class Driver:
    """`observe` is told of every committed decision, with the saga that it made."""

    def __init__(
        self,
        journal: Journal,
        executor: Executor,
        callbacks: Callbacks,
        clock: Clock,
        observe: Observer,
    ) -> None:
        self.journal, self.executor, self.callbacks = journal, executor, callbacks
        self.clock, self.observe = clock, observe
        self.timers = Timers(clock, self._wake)
        self.epochs: Mapping[int, int] = {}
        self.live: dict[str, Live] = {}
        self.stopping = False
        self._told_to_stop = asyncio.Event()
        self._tasks: set[asyncio.Task[Any]] = set()

    async def start(self, definition: Definition, saga_id: str, request: StartRequested) -> Live:
        """Durable when it returns. Raises NotServing, and WrongExpectedVersion if it exists.

        A caller who gives up waiting does not stop it: what lands in the log must be driven.
        """
        if self.stopping:
            raise NotServing("the service is stopping")
        return await asyncio.shield(self._track(self._start(definition, saga_id, request)))

    async def _start(self, definition: Definition, saga_id: str, request: StartRequested) -> Live:
        decision = start(definition, saga_id, request, now=self.clock.now())
        try:
            recorded = await self._append(0, decision)
        except (LogOverloaded, LogUnavailable, Fenced) as error:
            raise NotServing(str(error)) from error
        live = Live(decision.saga)
        self._publish(live, decision.saga, recorded)
        self._launch(live, decision.calls)
        return live

    async def happen(self, live: Live, happening: Happening) -> None:
        """Let `happening` have its consequences. Raises what the core refuses, and NotServing."""
        await asyncio.shield(self._track(self._happen(live, happening)))

    async def _happen(self, live: Live, happening: Happening) -> None:
        try:
            self._launch(live, await self._decide(live, happening))
        except (LogOverloaded, LogUnavailable, Fenced) as error:
            raise NotServing(str(error)) from error

    def resume(self, saga: Saga) -> None:
        """Take up a saga whose last process died: send again what was sent, then go on."""
        live = self.live[saga.state.saga_id] = Live(saga)
        self.timers.set(saga.state.saga_id, wake_up(saga))
        if saga.owes_callback:
            self._spawn(self._tell(live), saga.state.saga_id)
        for call in commands(saga):
            self._spawn(self._converse(live, call, resent=True), saga.state.saga_id)
        self._wake(saga.state.saga_id)

    def begin_stop(self) -> None:
        """Send nothing new from now on, and keep nobody waiting."""
        self.stopping = True
        self._told_to_stop.set()
        for live in self.live.values():
            live.release()

    async def drain(self, within: timedelta) -> None:
        """Record what is still answered within that time, and drop the rest as a crash would."""
        self.begin_stop()
        with suppress(TimeoutError):
            async with asyncio.timeout(within.total_seconds()):
                while self._tasks:  # a start that was being recorded still sends its first call
                    await asyncio.wait(self._tasks)
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _converse(self, live: Live, call: CallParticipant, *, resent: bool = False) -> None:
        """One call, and those that follow from its answer."""
        calls: Sequence[CallParticipant] = (call,)
        while calls:
            first, *others = calls
            self._launch(live, others)
            verdict = await self.executor.call(
                first, live.saga.definition, self.epochs[shard_of(first.saga_id)]
            )
            answer = CallAnswered(
                step=first.step,
                direction=first.direction,
                attempt=first.attempt,
                verdict=verdict,
                resent=resent,
            )
            calls, resent = await self._decide_patiently(live, answer), False

    async def _decide_patiently(
        self, live: Live, happening: Happening
    ) -> Sequence[CallParticipant]:
        """An answer is not thrown away because the log is busy."""
        while True:
            try:
                return await self._decide(live, happening)
            except LogOverloaded:
                await asyncio.sleep(OVERLOAD_PAUSE_SECONDS)

    async def _decide(self, live: Live, happening: Happening) -> Sequence[CallParticipant]:
        """The calls that are to leave now: their intent is durable."""
        async with live.turn:
            decision = decide(
                live.saga, happening, now=self.clock.now(), jitter=self.clock.jitter()
            )
            if self.stopping:
                decision = without_calls(live.saga, decision)
            if decision.events:
                version = live.saga.state.version
                recorded = await self._append(version, decision)
                self._publish(live, decision.saga, recorded)
        return decision.calls

    async def _append(self, version: int, decision: Decision) -> Sequence[RecordedEvent]:
        state = decision.saga.state
        return await self.journal.append(
            state.saga_id, version, decision.events, at=state.updated_at
        )

    def _publish(self, live: Live, saga: Saga, recorded: Sequence[RecordedEvent]) -> None:
        saga_id = saga.state.saga_id
        live.move_to(saga)
        self.observe(saga, recorded)
        self.timers.set(saga_id, wake_up(saga))
        if saga.owes_callback:
            self.live[saga_id] = live
            self._spawn(self._tell(live), saga_id)
        elif saga.state.status.rests:
            self.live.pop(saga_id, None)
        else:
            self.live[saga_id] = live

    async def _tell(self, live: Live) -> None:
        """Until it was told, or the saga has moved on: then its next rest will be told."""
        rested = live.saga.state.rested_version
        for pause in self.callbacks.pauses():
            if live.saga.state.rested_version != rested or self.stopping:
                return
            if await self.callbacks.tell(live.saga):
                await self._decide_patiently(live, CallbackTold(rested_version=rested))
                return
            await self._pause(pause)

    async def _pause(self, seconds: float) -> None:
        """Cut short when the service begins to stop."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._told_to_stop.wait()

    def _launch(self, live: Live, calls: Sequence[CallParticipant]) -> None:
        for call in calls:
            self._spawn(self._converse(live, call), call.saga_id)

    def _wake(self, saga_id: str) -> None:
        if (live := self.live.get(saga_id)) and not self.stopping:
            self._spawn(self._time_passed(live), saga_id)

    async def _time_passed(self, live: Live) -> None:
        self._launch(live, await self._decide_patiently(live, TimePassed()))

    def _spawn(self, work: Coroutine[Any, Any, None], saga_id: str) -> None:
        self._track(self._guarded(work, saga_id))

    def _track(self, work: Coroutine[Any, Any, Result]) -> asyncio.Task[Result]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _guarded(self, work: Coroutine[Any, Any, None], saga_id: str) -> None:
        """The top of every task."""
        try:
            await work
        except (Fenced, LogUnavailable) as error:
            logger.warning("saga let go", extra={"saga_id": saga_id, "why": str(error)})
            self._let_go(saga_id)
        except Exception:  # noqa: BLE001 - one saga never takes another with it
            logger.exception("saga quarantined", extra={"saga_id": saga_id})
            self._let_go(saga_id)

    def _let_go(self, saga_id: str) -> None:
        self.timers.set(saga_id, None)
        if live := self.live.pop(saga_id, None):
            live.release()


def without_calls(before: Saga, decision: Decision) -> Decision:
    """What has happened, without what would be sent next: the next process will decide that."""
    events: list[Event] = []
    saga = before
    for event in decision.events:
        if isinstance(event, StepCalled | StatusAsked | CompensationCalled):
            break
        events.append(event)
        saga = saga.after(event, decision.saga.state.updated_at)
    return Decision(tuple(events), saga, ())
