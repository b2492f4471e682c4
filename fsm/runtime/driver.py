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

from ...eventstore import (
    Fenced,
    LogOverloaded,
    LogUnavailable,
    RecordedEvent,
    WrongExpectedVersion,
    shard_of,
)
from ..command import (
    CallParticipant,
    commands,
    is_over,
    repeats_nothing,
    taken_up,
    unanswered,
    wake_up,
)
from ..decide import Decision, decide
from ..definition import Definition
from ..happening import (
    CallAnswered,
    Happening,
    ProcessLeaves,
    ResolveAsked,
    RetryAsked,
    StartRequested,
    TimePassed,
)
from ..outcome import Hold, Outcome
from ..saga import Saga
from ..state import Kept, kept_of, with_kept
from .callbacks import Callbacks
from .children import OVERLOAD_PAUSE_SECONDS, Children
from .clock import Clock
from .errors import NotServing, VersionMoved, not_recorded
from .executor import UNWANTED, Executor
from .first_moves import FirstMoves
from .held_back import HeldBack
from .journal import Journal
from .live import Condition, Live
from .log import logger
from .sending import is_wanted, without_calls
from .start import Start
from .tasks import Tasks
from .timers import Timers
from .wake_ups import WakeUps

TROUBLE_PAUSE_SECONDS = 0.2
WAKE_AGAIN = timedelta(seconds=1)
NESTING_LIMIT = 16
TIME_PASSED = TimePassed()
LEAVES = ProcessLeaves()
Observer = Callable[[Saga, Sequence[RecordedEvent]], None]


class Driver:
    """`observe` is told of every committed decision, with the saga that it made.

    `fenced` are shards that another process has claimed: nothing can be recorded there any more.
    `is_current`: nobody can have claimed a shard yet without this process knowing.
    """

    def __init__(
        self,
        journal: Journal,
        executor: Executor,
        callbacks: Callbacks,
        clock: Clock,
        observe: Observer,
        *,
        nesting_limit: int = NESTING_LIMIT,
    ) -> None:
        self.journal, self.executor, self.callbacks = journal, executor, callbacks
        self.clock, self.observe = clock, observe
        self.nesting_limit = nesting_limit  # sagas that may stand above another one
        self.timers = Timers(clock, WakeUps(self).wake)
        self.children = Children(self)
        executor.closed = HeldBack(self).participant_back
        self.epochs: dict[int, int] = {}
        self.retiring: set[int] = set()
        self.fenced: set[int] = set()
        self.live: dict[str, Live] = {}
        self.kept: dict[str, Kept] = {}  # what is not recorded, of sagas that may leave memory
        self._not_taken_up: set[str] = set()
        self.stopping = False
        self.is_current: Callable[[], bool] = lambda: True
        self._told_to_stop = asyncio.Event()
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self.tasks, self.first_moves = Tasks(), FirstMoves()

    def start(
        self, definition: Definition, saga_id: str, request: StartRequested
    ) -> asyncio.Future[Live]:
        """To be awaited until it is durable. Raises NotServing; WrongExpectedVersion if it exists.

        Raises InDoubt if the log went away before it said whether the start is durable.

        A caller who gives up waiting does not stop it: what lands in the log must be driven.
        """
        if self.stopping:
            raise NotServing("the service is stopping")
        start = Start(self, definition, saga_id, request)
        self.spawn(start.run(), saga_id, has_called=True).add_done_callback(start.end)
        return start.recorded

    async def happen(
        self, live: Live, happening: Happening, *, expected_version: int | None = None
    ) -> None:
        """Let `happening` have its consequences. Raises what the core refuses, NotServing, InDoubt.

        Raises VersionMoved if the saga is not at `expected_version` any more.
        """
        work = self._happen(live, happening, expected_version)
        await self.tasks.request(live.shard_id, work)

    async def _happen(
        self, live: Live, happening: Happening, expected_version: int | None = None
    ) -> None:
        if self.stopping and isinstance(happening, RetryAsked | ResolveAsked):
            raise NotServing("the service is stopping, and could not send what this asks for")
        try:
            self.launch(live, await self._decide(live, happening, expected_version))
        except (LogOverloaded, Fenced, LogUnavailable) as error:
            raise not_recorded(error, live.saga.state.saga_id) from error

    async def meet(
        self,
        saga_id: str,
        happening: Happening,
        *,
        read: Saga | None = None,
        is_first_move: bool = False,
    ) -> None:
        """As `happen`, wherever the saga is and however busy the log is.

        `read` is the saga as it was read a moment ago, which is used if it is not in memory.
        """
        while True:
            try:
                async with self.holding(saga_id, read=read) as live:
                    await self._meet(live, happening, is_first_move=is_first_move)
                    return
            except WrongExpectedVersion:
                logger.warning("saga read again", extra={"saga_id": saga_id})
                self.live.pop(saga_id, None)
                read = None
                await self.pause(TROUBLE_PAUSE_SECONDS)

    async def _meet(self, live: Live, happening: Happening, *, is_first_move: bool) -> None:
        version = live.saga.state.version
        calls = await self._decide_patiently(live, happening)
        self.launch(live, calls, in_backlog=True, is_first_move=is_first_move)
        if is_first_move and not live.saga.is_called:
            self.first_moves.made(live.saga.state.saga_id)
        due = wake_up(live.saga)
        if live.saga.state.version == version and due is not None:
            # It was woken for nothing, by a clock that has stepped back: its timer is gone.
            self.timers.set(live.saga.state.saga_id, max(due, self.clock.now() + WAKE_AGAIN))

    @asynccontextmanager
    async def holding(
        self, saga_id: str, *, patiently: bool = True, read: Saga | None = None
    ) -> AsyncIterator[Live]:
        """The saga, brought back into memory if it rests; one holder at a time.

        Whoever is not patient is told with LogUnavailable that the log cannot be read now.
        Raises SagaNotFound, and what a broken history raises.
        """
        async with self.turn_of(saga_id):
            live = self.live.get(saga_id)
            if live is None:
                saga = read or await self._load(saga_id, patiently=patiently)
                live = self._bring_back(saga)
            yield live

    async def _load(self, saga_id: str, *, patiently: bool) -> Saga:
        """A wake-up, a report or an answer is not thrown away because the log cannot be read."""
        while True:
            try:
                return await self.journal.load(saga_id)
            except LogUnavailable:
                if self.stopping or not patiently:
                    raise
            await self.pause(TROUBLE_PAUSE_SECONDS)

    async def load_many(
        self, wanted: Callable[[], Sequence[str]]
    ) -> Mapping[str, Saga | Exception]:
        """Read the sagas that are `wanted`, once the log can be read; none if the service stops."""
        while not self.stopping and (saga_ids := wanted()):
            try:
                return await self.journal.load_many(saga_ids)
            except LogUnavailable as error:
                logger.warning("sagas are not read yet", extra={"why": str(error)})
            await self.pause(TROUBLE_PAUSE_SECONDS)
        return {}

    async def watch(self, saga_id: str, condition: Condition) -> tuple[Live, asyncio.Future[Saga]]:
        """The saga, kept in memory until `leave`, and what comes once it fulfils `condition`."""
        live = self.live.get(saga_id)
        if live is not None:
            return live, live.until(condition, self.tasks.loop)
        async with self.holding(saga_id, patiently=False) as live:
            reached = live.until(condition, self.tasks.loop)
            if live.is_needed(self.clock.now(), wake_up(live.saga)):
                self.live[saga_id] = live
            return live, reached

    def turn_of(self, saga_id: str) -> asyncio.Lock:
        """What keeps two from bringing the same saga into being, or back."""
        return self._turns.setdefault(saga_id, asyncio.Lock())

    def wait_for(self, saga_id: str, wake_at: datetime | None) -> None:
        """Take up a saga that only waits: it stays where it is until then."""
        self.timers.set(saga_id, wake_at)

    def drive(self, epochs: Mapping[int, int], not_taken_up: Collection[str]) -> None:
        """Serve the shards of `epochs` from now on; `not_taken_up` are sagas of them to resume."""
        self._not_taken_up.update(not_taken_up)
        self.first_moves.expect(not_taken_up)
        self.epochs.update(epochs)

    def left_to_take_up(self, saga_ids: Iterable[str]) -> list[str]:
        """Those that no request has taken up meanwhile, and whose shards are still driven here."""
        return [one for one in saga_ids if one in self._not_taken_up]

    async def take_up(self, saga: Saga) -> bool:
        """Go on with a saga as it was read; False if it rests, or goes on already."""
        saga_id = saga.state.saga_id
        async with self.turn_of(saga_id):
            if saga_id not in self._not_taken_up:
                return False
            live = self._bring_back(saga)
            return self.live.get(saga_id) is live

    def leave_alone(self, saga_id: str) -> None:
        """Do not take up a saga, as nothing can be done about it."""
        self._not_taken_up.discard(saga_id)
        self.first_moves.made(saga_id)

    def _bring_back(self, saga: Saga) -> Live:
        """The saga in memory; the first time after a crash it goes on."""
        saga_id = saga.state.saga_id
        if saga_id not in self._not_taken_up:
            return Live(self.known(saga))
        self._not_taken_up.discard(saga_id)
        if not is_over(saga):
            return self._resume(saga)
        self.first_moves.made(saga_id)
        return Live(saga)

    def _resume(self, saga: Saga) -> Live:
        """Send again what the process before has sent, unless the saga goes back; then go on."""
        saga_id, saga = saga.state.saga_id, taken_up(saga, self.clock.now())
        live = self.live[saga_id] = Live(saga)
        wake = wake_up(saga)
        self.timers.set(saga_id, wake if wake is None or wake > self.clock.now() else None)
        if saga.owes_callback:
            self.spawn(self.callbacks.keep_telling(self, saga_id), saga_id)
        for command in commands(saga):
            if isinstance(command, CallParticipant):
                work = self.converse(
                    live, command, resent=True, in_backlog=True, is_first_move=True
                )
                self.spawn(work, saga_id, has_called=True)
            else:
                self.spawn(self.children.obey(command), saga_id)
        self.spawn(self.meet(saga_id, TIME_PASSED, is_first_move=True), saga_id)
        return live

    def drives(self, saga_id: str) -> bool:
        """Whether all that is asked of the saga can be done here."""
        shard_id = shard_of(saga_id)
        return shard_id in self.epochs and shard_id not in self.retiring

    def retire(self, shard_ids: Collection[int]) -> None:
        """Send nothing new of these shards."""
        self.retiring.update(shard_ids)
        self._record_kept()

    def forget(self, shard_ids: Collection[int]) -> None:
        """Drop all that is known of these shards: somebody else drives them, or will."""
        gone = set(shard_ids)
        for shard_id in gone:
            self.epochs.pop(shard_id, None)
            self.tasks.drop(shard_id)
        self._not_taken_up = {one for one in self._not_taken_up if shard_of(one) not in gone}
        self.first_moves.drop(lambda saga_id: shard_of(saga_id) in gone)
        for saga_id in [one for one in self.live if shard_of(one) in gone]:
            self.live.pop(saga_id).release()
        self.timers.forget(lambda saga_id: shard_of(saga_id) in gone)
        for saga_id in [one for one in self.kept if shard_of(one) in gone]:
            del self.kept[saga_id]
        self.retiring -= gone
        self.fenced -= gone

    def begin_stop(self) -> None:
        """Send nothing new from now on, and keep nobody waiting."""
        self.stopping = True
        self._told_to_stop.set()
        for live in self.live.values():
            live.release()

    async def drain(self, within: timedelta) -> None:
        """Record what is still answered within that time, and drop the rest as a crash would."""
        self.begin_stop()
        self._record_kept()
        await self.tasks.end(within)

    def _record_kept(self) -> None:
        """Let the next process know what this one alone knows of sagas that it leaves."""
        for saga_id in list(self.kept):
            if self.stopping or shard_of(saga_id) in self.retiring:
                self.spawn(self.meet(saga_id, LEAVES), saga_id, has_called=True)

    async def converse(
        self,
        live: Live,
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
                self.launch(live, calls[1:], in_backlog=in_backlog)
            verdict = await self.executor.call(
                first,
                live.saga.definition,
                self.epochs[live.shard_id],
                partial(self._may_leave, live, first, resent, is_first_move),
                in_backlog=in_backlog,
            )
            if verdict is UNWANTED and resent and await self._waits_instead(live, first):
                return
            answer = CallAnswered(
                step=first.step,
                direction=first.direction,
                attempt=first.attempt,
                verdict=verdict,
                resent=resent,
            )
            try:
                try:
                    calls = await self._decide(live, answer)
                except LogOverloaded:
                    calls = await self._decide_patiently(live, answer)
            except WrongExpectedVersion:
                # Somebody else holds a newer state: what was answered still counts there.
                if self.live.get(first.saga_id) is live:
                    del self.live[first.saga_id]
                await self.meet(first.saga_id, answer)
                return
            resent = False
            if is_first_move and calls and not self.first_moves.are_over:
                await self.first_moves.over()

    def _may_leave(
        self, live: Live, call: CallParticipant, resent: bool, is_first_move: bool
    ) -> bool:
        """True if a call whose turn has come is still to be sent."""
        if is_first_move:
            self.first_moves.made(call.saga_id)
        return is_wanted(live, call, resent=resent, now=self.clock.now)

    async def _waits_instead(self, live: Live, call: CallParticipant) -> bool:
        """True if the saga goes back by now: then a call that a process which died may have sent
        is not sent again, but waited for."""
        if not live.turn.take():
            await live.turn.come()
        try:
            now = self.clock.now()
            waits = repeats_nothing(live.saga, now)
            if waits:
                live.move_to(unanswered(live.saga, [call.step], now))
                self.timers.set(call.saga_id, wake_up(live.saga))
            return waits
        finally:
            live.turn.leave()

    async def _decide_patiently(
        self, live: Live, happening: Happening
    ) -> Sequence[CallParticipant]:
        """An answer is not thrown away because the log is busy."""
        while True:
            try:
                return await self._decide(live, happening)
            except LogOverloaded:
                await asyncio.sleep(OVERLOAD_PAUSE_SECONDS)

    async def _decide(
        self, live: Live, happening: Happening, expected_version: int | None = None
    ) -> Sequence[CallParticipant]:
        """The calls that are to leave now: their intent is durable."""
        turn, clock = live.turn, self.clock
        if not turn.take():
            await turn.come()
        try:
            saga = live.saga
            if expected_version is not None and saga.state.version != expected_version:
                raise VersionMoved(saga.state.saga_id, saga.state.version)
            held = self.executor.held(saga.definition)
            decision = decide(saga, happening, now=clock.now(), jitter=clock.jitter(), held=held)
            if self.stopping or live.shard_id in self.retiring:
                decision = without_calls(saga, decision)
            if decision.events:
                recorded = await self.append(saga.state.version, decision)
                self.publish(live, decision, recorded)
            elif decision.saga is not saga:
                self._move(live, decision)
            if held:
                self.wait_for_participants(decision.saga, held)
        except Fenced as error:
            self.fenced.add(error.shard_id)
            raise
        finally:
            turn.leave()
        return decision.calls

    def append(self, version: int, decision: Decision) -> Awaitable[Sequence[RecordedEvent]]:
        """To be awaited until it is durable."""
        state = decision.saga.state
        return self.journal.append(state.saga_id, version, decision.events, at=state.updated_at)

    def publish(self, live: Live, decision: Decision, recorded: Sequence[RecordedEvent]) -> None:
        """What was decided is durable: everybody may know, and what it commands begins."""
        saga = decision.saga
        saga_id = saga.state.saga_id
        live.move_to(saga)
        self.observe(saga, recorded)
        self.kept.pop(saga_id, None)
        for command in decision.children:
            self.spawn(self.children.obey(command), saga_id)
        if live.shard_id not in self.epochs:  # it was the last thing that could be recorded
            return
        if saga.state.status.rests:
            self._tell_of_its_rest(saga)
        self._wait(live, saga.state.updated_at, has_calls=bool(decision.calls))

    def _tell_of_its_rest(self, saga: Saga) -> None:
        saga_id, parent = saga.state.saga_id, saga.state.parent
        if parent is not None:
            self.spawn(self.children.report(saga), parent.saga_id)
        if saga.owes_callback and not self.callbacks.is_telling(saga_id):
            self.spawn(self.callbacks.keep_telling(self, saga_id), saga_id)

    def _move(self, live: Live, decision: Decision) -> None:
        """What was decided is not to be recorded: this process alone knows of it."""
        saga = decision.saga
        saga_id = saga.state.saga_id
        live.move_to(saga)
        if live.shard_id not in self.epochs:
            return
        if saga.state.unrecorded:
            self.kept[saga_id] = kept_of(saga.state)
        self._wait(live, self.clock.now(), has_calls=bool(decision.calls))

    def _wait(self, live: Live, now: datetime, *, has_calls: bool) -> None:
        """Set the timer of the saga, and keep it in memory if it is needed there."""
        saga_id, wake = live.saga.state.saga_id, wake_up(live.saga)
        self.timers.set(saga_id, wake)
        if has_calls or live.is_needed(now, wake):
            self.live[saga_id] = live
        elif self.live.get(saga_id) is live:
            del self.live[saga_id]

    def wait_for_participants(self, saga: Saga, held: Mapping[str, Hold]) -> None:
        """Be told once those are back from which calls of the saga are held back."""
        waited_for = {
            step.participant
            for step, state in saga.steps
            if state.last_outcome is Outcome.HELD and step.participant in held
        }
        unaddressed = self.executor.unaddressed
        back = waited_for - unaddressed.of(saga.definition)  # the others come with a restart
        self.executor.wake_once_back(back, saga.state.saga_id)
        unaddressed.note(saga)

    def unaddressed(self) -> Mapping[str, int]:
        """Return the participants without a URL, with how many sagas of this node wait for them."""
        return self.executor.unaddressed.waited_for(self.drives)

    def known(self, saga: Saga) -> Saga:
        """The saga that was read from its log, with what this process knows beside that."""
        kept = self.kept.get(saga.state.saga_id)
        return saga if kept is None else Saga(saga.definition, with_kept(saga.state, kept))

    def leave(self, live: Live) -> None:
        """Forget a saga that nobody waits for any more, if it can be forgotten."""
        saga_id = live.saga.state.saga_id
        if self.live.get(saga_id) is not live:
            return
        if not live.is_needed(self.clock.now(), wake_up(live.saga)):
            del self.live[saga_id]

    async def pause(self, seconds: float) -> None:
        """Cut short when the service begins to stop."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._told_to_stop.wait()

    def launch(
        self,
        live: Live,
        calls: Sequence[CallParticipant],
        *,
        in_backlog: bool = False,
        is_first_move: bool = False,
    ) -> None:
        for call in calls if live.shard_id in self.epochs else ():
            work = self.converse(live, call, in_backlog=in_backlog, is_first_move=is_first_move)
            self.spawn(work, call.saga_id, has_called=True)

    def wake(
        self, saga_id: str, happening: Happening = TIME_PASSED, *, read: Saga | None = None
    ) -> None:
        """Unless it is not, or not any more, for this driver to go on with it."""
        if not self.stopping and self.drives(saga_id):
            self.spawn(self.meet(saga_id, happening, read=read), saga_id)

    def spawn(
        self, work: Coroutine[Any, Any, None], saga_id: str, *, has_called: bool = False
    ) -> asyncio.Task[None]:
        guarded = self._guarded(work, saga_id, has_called)
        return self.tasks.work(shard_of(saga_id), guarded, calls=has_called)

    async def _guarded(
        self, work: Coroutine[Any, Any, None], saga_id: str, has_called: bool
    ) -> None:
        """The top of every task."""
        try:
            await work
        except (Fenced, LogUnavailable, NotServing) as error:
            logger.warning("saga let go", extra={"saga_id": saga_id, "why": str(error)})
            self._let_go(saga_id, has_called)
        except Exception:  # noqa: BLE001 - one saga never takes another with it
            logger.exception("saga quarantined", extra={"saga_id": saga_id})
            self._let_go(saga_id, has_called)

    def _let_go(self, saga_id: str, has_called: bool) -> None:
        """Not while another one's call is out: whoever has sent it still holds the saga."""
        live = self.live.get(saga_id)
        awaits = live is not None and live.saga.is_called and not live.saga.state.unanswered
        if awaits and not has_called:
            return
        self.timers.set(saga_id, None)
        if live is not None:
            del self.live[saga_id]
            live.release()
