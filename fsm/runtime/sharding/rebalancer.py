"""Which shards this node drives: a sign of life, a look at the others, and what follows from both.

    beat ──> roster ──> lost shards are forgotten
                   └──> allotment ──> free ones are reserved, claimed, recovered
                                 └──> surplus ones retire, settle, are released, go to their heir

Safety is the log's alone: whoever claims a shard fences its former owner, however wrong the roster
was. So everything here may be late or mistaken, and costs time at worst. A shard is *busy* while it
is being taken up or handed over, and until the roster shows the end of it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Coroutine, Mapping
from datetime import timedelta
from typing import Final

from ....eventstore.cluster.assignment import assign_shards
from ....eventstore.cluster.membership import ClusterView, Membership
from ....eventstore.errors import ClaimFailed, LogUnavailable
from ....eventstore.event import SHARD_COUNT
from ....eventstore.event_log import EventLog
from ..driver import Driver
from ..logging import logger
from .node_messenger import NodeMessenger
from .recovery import Recovery

HEARTBEAT_INTERVAL: Final = timedelta(milliseconds=250)
# By then others may have taken over, if they have seen this process go.
TRUST_WINDOW: Final = timedelta(milliseconds=600)


class ShardRebalancer:
    """`release_shards` ends what read models make of shards that leave. The deployment has
    `shards`.
    """

    def __init__(
        self,
        membership: Membership,
        log: EventLog,
        recovery: Recovery,
        driver: Driver,
        post: NodeMessenger,
        part_with: Callable[[Collection[int]], Awaitable[None]],
        shards: Collection[int] = range(SHARD_COUNT),
    ) -> None:
        self.membership, self.log, self.recovery = membership, log, recovery
        self.driver, self.messenger, self.part_with = driver, post, part_with
        self.shards = shards
        self.view = ClusterView()
        self._has_live_peers = False
        self.leaving = False
        self._busy: set[int] = set()
        self._handed_over: set[int] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._last_heartbeat_at: float | None = None
        self._stepped = asyncio.Event()

    async def run(self) -> None:
        """Beat and answer messages until cancelled; a slow message never keeps a beat waiting."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self.messenger.run(lambda: self._driven_shards))
            await self._heartbeats()

    async def _heartbeats(self) -> None:
        loop = asyncio.get_running_loop()
        next_beat = loop.time()
        while True:
            try:
                if loop.time() >= next_beat:
                    next_beat = loop.time() + HEARTBEAT_INTERVAL.total_seconds()
                    await self.step()
                    if self.view.has_messages or self.messenger.awaits_results:
                        self.messenger.notify()
                left = timedelta(seconds=max(next_beat - loop.time(), 0))
                if await self.membership.wait_for_notification(left):
                    self.messenger.notify()
            except LogUnavailable as error:
                logger.warning("no roster", extra={"why": str(error)})
                await asyncio.sleep(HEARTBEAT_INTERVAL.total_seconds())
            except Exception:  # noqa: BLE001 - a node that does not look at the others is lost
                logger.exception("ownership in trouble")
                await asyncio.sleep(HEARTBEAT_INTERVAL.total_seconds())

    async def step(self) -> None:
        """Raises LogUnavailable."""
        began, was_silent = asyncio.get_running_loop().time(), not self.is_current
        self.view = roster = await self.membership.heartbeat(leaving=self.leaving)
        me = self.membership.node_id
        self._has_live_peers = any(
            one.is_alive and one.node_id != me for one in roster.nodes.values()
        )
        mine = roster.shards_owned_by(me)
        self._busy -= self._handed_over - mine
        self._handed_over &= mine
        overtaken = await self._claimed_by_others() if was_silent else set()
        await self._drop_lost({one for one in self.driver.epochs if one not in mine} | overtaken)
        # Only now: what is remembered of lost shards is as it was before the silence.
        self._last_heartbeat_at = began
        allotment = assign_shards(me, roster, self.shards)
        if allotment.acquire:
            dead = {roster.owners.get(one) for one in allotment.acquire} - {None}
            reserved = await self.membership.acquire(allotment.acquire, [str(one) for one in dead])
            mine |= frozenset(reserved)
        self._start_recovery(mine - self.driver.epochs.keys() - self._busy)
        self._start_recovery(self.driver.fenced & mine - self._busy)
        self._start_handover(
            {one: heir for one, heir in allotment.transfer.items() if one not in self._busy}
        )
        # Its hand-over failed, and nobody is to have it any more.
        self._start_recovery(self.driver.draining & mine - self._busy)
        self._stepped.set()

    async def wait_for_first_shard(self, within: timedelta) -> None:
        """Once this node drives something; or the time is over."""
        try:
            async with asyncio.timeout(within.total_seconds()):
                while not self.driver.epochs:
                    self._stepped.clear()
                    await self._stepped.wait()
        except TimeoutError:
            logger.warning("no shard yet")

    async def hand_over_all(self, within: timedelta) -> None:
        """Hand over what is driven here, each shard as soon as it has settled. While `run` runs."""
        self.leaving = True
        try:
            async with asyncio.timeout(within.total_seconds()):
                while self.driver.epochs or self._tasks:
                    self._stepped.clear()
                    await self._stepped.wait()
        except TimeoutError:
            logger.warning(
                "not all shards were handed over", extra={"left": len(self._driven_shards)}
            )

    async def close(self) -> None:
        """What is still owned becomes free at once."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.messenger.close()
        try:
            await self.membership.leave()
        except LogUnavailable as error:
            logger.warning("nobody was told of the end", extra={"why": str(error)})
        await self.membership.close()

    @property
    def is_current(self) -> bool:
        """Whether nobody can have taken over anything yet without this node knowing."""
        return self._heartbeat_within(TRUST_WINDOW)

    @property
    def is_alone(self) -> bool:
        """Whether no other node is alive; who has not looked lately does not know."""
        return not self._has_live_peers and self.is_current

    def problem(self, patience: timedelta) -> str | None:
        """Why this node cannot do its part, or None."""
        if not self._heartbeat_within(patience):
            return "no sign of life could be given"
        return None if self._driven_shards else "it drives no shard"

    @property
    def _driven_shards(self) -> list[int]:
        return [one for one in self.driver.epochs if one not in self.driver.draining]

    def _heartbeat_within(self, patience: timedelta) -> bool:
        if self._last_heartbeat_at is None:
            return False
        silent = self.driver.tasks.loop.time() - self._last_heartbeat_at
        return silent < patience.total_seconds()

    async def _claimed_by_others(self) -> set[int]:
        """Those that others have claimed. They may have been given back since: a sign of life is
        seen even if its answer is lost."""
        if not self.driver.epochs:
            return set()
        heads = await self.log.heads(ahead=True)
        newest = {one: head.epoch for one, head in heads.items()}
        return {one for one, epoch in self.driver.epochs.items() if newest.get(one, 0) > epoch}

    async def _drop_lost(self, lost: Collection[int]) -> None:
        """Those that another node has, or will have."""
        if not lost:
            return
        logger.warning("shards lost", extra={"shards": sorted(lost)})
        await self.log.release(lost)
        self.driver.drop_shards(lost)
        await self.part_with(lost)

    def _start_recovery(self, shard_ids: Collection[int]) -> None:
        if shard_ids:
            self._spawn(shard_ids, self._recover(sorted(shard_ids)))

    async def _recover(self, shard_ids: Collection[int]) -> None:
        self.driver.drop_shards(shard_ids)  # of one that was fenced by mistake
        try:
            await self.recovery.run(shard_ids)
        except (ClaimFailed, LogUnavailable) as error:
            logger.warning("shards not taken up", extra={"why": str(error)})
        self._busy -= set(shard_ids)

    def _start_handover(self, heirs: Mapping[int, str | None]) -> None:
        driven = {one: heir for one, heir in heirs.items() if one in self.driver.epochs}
        if driven:
            self.driver.drain_shards(driven)
            self._spawn(driven, self._hand_over_settled(driven))

    async def _hand_over_settled(self, heirs: dict[int, str | None]) -> None:
        """Each as soon as it has settled."""
        while heirs:
            settled = await self.driver.tasks.wait_until_settled(heirs)
            await self._hand_over({one: heirs.pop(one) for one in settled})

    async def _hand_over(self, heirs: Mapping[int, str | None]) -> None:
        await self.log.release(heirs)
        self.driver.drop_shards(heirs)
        await self.part_with(heirs)
        await self.membership.transfer({one: heir for one, heir in heirs.items() if heir})
        self._handed_over |= heirs.keys()

    def _spawn(self, shard_ids: Collection[int], work: Coroutine[None, None, None]) -> None:
        self._busy.update(shard_ids)
        task = asyncio.get_running_loop().create_task(self._supervise(shard_ids, work))
        self._tasks.add(task)
        task.add_done_callback(self._on_task_done)

    def _on_task_done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._stepped.set()

    async def _supervise(
        self, shard_ids: Collection[int], work: Coroutine[None, None, None]
    ) -> None:
        """The top of what is done to shards: what fails is tried again from the next roster on."""
        try:
            await work
        except Exception:  # noqa: BLE001 - the other shards are still to be driven
            logger.exception("shards in trouble", extra={"shards": sorted(shard_ids)})
            self._busy -= set(shard_ids)
