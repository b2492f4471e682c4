"""The rebalancing loop: which shards this node drives, and takes over from dead nodes.

    heartbeat ──> view ──> lost shards are dropped
                     └──> assignment ──> free shards are reserved, claimed, recovered
                                    └──> surplus shards drain, settle, are released and transferred

Safety is the log's alone: a claim fences the former owner, however wrong the view was. Everything
here may be late or mistaken, and costs time at worst. A shard is *busy* while it is recovered or
handed over, and until the view shows the end of that.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Coroutine, Mapping
from datetime import timedelta
from typing import Final

from ....eventstore import SHARD_COUNT, ClaimFailed, LogUnavailable
from ....eventstore.cluster import ClusterView, Membership, assign_shards, prune_regularly
from ..driver import Driver
from ..logging import logger
from .lease import NodeLease
from .node_messenger import NodeMessenger
from .recovery import Recovery

HEARTBEAT_INTERVAL: Final = timedelta(milliseconds=250)


class ShardRebalancer:
    """Recovers, drains and drops shards as the view of the cluster changes."""

    def __init__(
        self,
        membership: Membership,
        recovery: Recovery,
        driver: Driver,
        messenger: NodeMessenger,
        lease: NodeLease,
        release_shards: Callable[[Collection[int]], Awaitable[None]],
        shards: Collection[int] = range(SHARD_COUNT),
    ) -> None:
        """Renew `lease` with every heartbeat. `shards` are those of the deployment.

        `release_shards` ends the projection of shards that leave this node.
        """
        self.membership, self.recovery, self.log = membership, recovery, recovery.log
        self.driver, self.messenger, self.lease = driver, messenger, lease
        self.release_shards, self.shards = release_shards, shards
        self.view = ClusterView()
        self.leaving = False
        self._busy: set[int] = set()
        self._handed_over: set[int] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._stepped = asyncio.Event()

    async def run(self) -> None:
        """Send heartbeats and execute messages until cancelled; no message delays a heartbeat."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self.messenger.run(lambda: self.driver.shards.in_service))
            group.create_task(
                prune_regularly(self.messenger.inbox, lambda: self.driver.shards.in_service)
            )
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
                logger.warning("heartbeat failed", extra={"error": str(error)})
                await asyncio.sleep(HEARTBEAT_INTERVAL.total_seconds())
            except Exception:  # noqa: BLE001 - a node without heartbeats loses its shards
                logger.exception("rebalancing failed")
                await asyncio.sleep(HEARTBEAT_INTERVAL.total_seconds())

    async def step(self) -> None:
        """Send a heartbeat, and begin what its view calls for, a takeover of shards among it.

        Raises LogUnavailable.
        """
        sent_at, was_silent = asyncio.get_running_loop().time(), not self.lease.is_current
        self.view = view = await self.membership.heartbeat(leaving=self.leaving)
        me, shards = self.membership.node_id, self.driver.shards
        self.lease.observe_peers(
            any(node.is_alive and node.node_id != me for node in view.nodes.values())
        )
        mine = view.shards_owned_by(me)
        self._busy -= self._handed_over - mine
        self._handed_over &= mine
        overtaken = await self._claimed_by_others() if was_silent else set()
        await self._drop_lost({shard for shard in shards if shard not in mine} | overtaken)
        # Not before: until here, lost shards in memory are as old as the heartbeat before.
        self.lease.renew(sent_at)
        assignment = assign_shards(me, view, self.shards)
        if assignment.acquire:
            dead = {view.owners.get(shard) for shard in assignment.acquire} - {None}
            acquired = await self.membership.acquire(
                assignment.acquire, [str(node) for node in dead]
            )
            mine |= frozenset(acquired)
        self._start_recovery({shard for shard in mine if shard not in shards} - self._busy)
        self._start_recovery(shards.fenced & mine - self._busy)
        self._start_handover(
            {shard: node for shard, node in assignment.transfer.items() if shard not in self._busy}
        )
        # Shards whose hand-over failed, and that this node is to keep now.
        self._start_recovery(shards.draining & mine - self._busy)
        self._stepped.set()

    async def wait_for_first_shard(self, within: timedelta) -> None:
        """Wait until this node drives a shard, or the time is over."""
        try:
            async with asyncio.timeout(within.total_seconds()):
                while not self.driver.shards:
                    self._stepped.clear()
                    await self._stepped.wait()
        except TimeoutError:
            logger.warning("no shard was assigned in time")

    async def hand_over_all(self, within: timedelta) -> None:
        """Hand over all shards, each as soon as it has settled. `run` must be running."""
        self.leaving = True
        try:
            async with asyncio.timeout(within.total_seconds()):
                while self.driver.shards or self._tasks:
                    self._stepped.clear()
                    await self._stepped.wait()
        except TimeoutError:
            left = len(self.driver.shards.in_service)
            logger.warning("not all shards were handed over", extra={"left": left})

    async def close(self) -> None:
        """Stop all tasks, and leave the cluster: shards that are still owned become free."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.messenger.close()
        try:
            await self.membership.leave()
        except LogUnavailable as error:
            logger.warning("could not deregister node", extra={"error": str(error)})
        await self.membership.close()

    def problem(self, max_heartbeat_age: timedelta) -> str | None:
        """Return why this node drives no shards, or may soon lose them; None if all is well."""
        if not self.lease.was_renewed_within(max_heartbeat_age):
            return "no heartbeat could be sent"
        return None if self.driver.shards.in_service else "it drives no shard"

    async def _claimed_by_others(self) -> set[int]:
        """Return the shards that other nodes have claimed since this node did.

        Such a shard may be this node's again by now, so the view does not show it.
        """
        if not self.driver.shards:
            return set()
        heads = await self.log.heads(ahead=True)
        return self.driver.shards.overtaken({shard: head.epoch for shard, head in heads.items()})

    async def _drop_lost(self, lost: Collection[int]) -> None:
        """Drop shards that another node drives, or will."""
        if not lost:
            return
        logger.warning("shards lost", extra={"shards": sorted(lost)})
        await self.log.release(lost)
        self.driver.drop_shards(lost)
        await self.release_shards(lost)

    def _start_recovery(self, shard_ids: Collection[int]) -> None:
        if shard_ids:
            self._spawn(shard_ids, self._recover(sorted(shard_ids)))

    async def _recover(self, shard_ids: Collection[int]) -> None:
        self.driver.drop_shards(shard_ids)  # a fenced shard is still in memory
        try:
            await self.recovery.run(shard_ids)
        except (ClaimFailed, LogUnavailable) as error:
            logger.warning("shards not recovered", extra={"error": str(error)})
        self._busy -= set(shard_ids)

    def _start_handover(self, new_owners: Mapping[int, str | None]) -> None:
        driven = {shard: node for shard, node in new_owners.items() if shard in self.driver.shards}
        if driven:
            self.driver.drain_shards(driven)
            self._spawn(driven, self._hand_over_settled(driven))

    async def _hand_over_settled(self, new_owners: dict[int, str | None]) -> None:
        """Hand over each shard as soon as it has settled."""
        while new_owners:
            settled = await self.driver.tasks.wait_until_settled(new_owners)
            await self._hand_over({shard: new_owners.pop(shard) for shard in settled})

    async def _hand_over(self, new_owners: Mapping[int, str | None]) -> None:
        await self.log.release(new_owners)
        self.driver.drop_shards(new_owners)
        await self.release_shards(new_owners)
        await self.membership.transfer(
            {shard: node for shard, node in new_owners.items() if node is not None}
        )
        self._handed_over |= new_owners.keys()

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
        """Run work on shards; what fails is tried again after the next heartbeat."""
        try:
            await work
        except Exception:  # noqa: BLE001 - the other shards are not affected
            logger.exception("work on shards failed", extra={"shards": sorted(shard_ids)})
            self._busy -= set(shard_ids)
