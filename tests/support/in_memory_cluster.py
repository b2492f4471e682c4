"""Several nodes in memory on one log: a service each, and what lets them share the shards.

    cluster = InMemoryCluster()
    anne, bert = await cluster.join("anne"), await cluster.join("bert")
    await cluster.settle()

Nothing happens by itself: `settle` lets every living node look at the others until nothing changes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from saga_orchestrator.eventstore.cluster.memory import (
    InMemoryInbox,
    InMemoryMembership,
    MemoryCluster,
)
from saga_orchestrator.eventstore.event import shard_of
from saga_orchestrator.eventstore.memory import InMemoryLog, MemoryStore
from saga_orchestrator.fsm.instructions import needs_no_recovery
from saga_orchestrator.fsm.runtime.sharding.lease import NodeLease
from saga_orchestrator.fsm.runtime.sharding.node_messenger import NodeMessenger
from saga_orchestrator.fsm.runtime.sharding.rebalancer import ShardRebalancer
from saga_orchestrator.fsm.runtime.sharding.recovery import Recovery
from saga_orchestrator.fsm.saga import Saga
from saga_orchestrator.projections.status_table import UnfinishedSaga
from saga_orchestrator.tests.support.in_memory_service import (
    FakeClock,
    InMemoryService,
    ScriptedParticipants,
    in_memory_service,
    unfinished_saga,
)

SETTLE_ROUNDS = 20
LOOP_ITERATIONS = 50  # of the event loop, in which all that can go on in memory does


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    service: InMemoryService
    ownership: ShardRebalancer
    lease: NodeLease
    membership: InMemoryMembership

    @property
    def shards(self) -> set[int]:
        return set(self.service.driver.shards)


@dataclass(slots=True)
class InMemoryCluster:
    store: MemoryStore = field(default_factory=MemoryStore)
    nodes: MemoryCluster = field(default_factory=MemoryCluster)
    clock: FakeClock = field(default_factory=FakeClock)
    participants: ScriptedParticipants = field(default_factory=ScriptedParticipants)
    alive: dict[str, Node] = field(default_factory=dict)

    async def join(self, name: str, *documents: str) -> Node:
        service = await in_memory_service(
            *documents,
            log=InMemoryLog(self.store),
            participants=self.participants,
            clock=self.clock,
            is_alone=False,
        )
        membership = InMemoryMembership(self.nodes, name, self.clock.now)
        driver, lease = service.driver, NodeLease()
        inbox = InMemoryInbox(self.nodes, self.clock.now)
        local_sagas = service.orchestrator.local_sagas
        service.orchestrator.messenger = NodeMessenger(inbox, local_sagas, self.clock, name)
        rebalancer = ShardRebalancer(
            membership,
            Recovery(service.log, driver, self.clock, self._unfinished),
            driver,
            service.orchestrator.messenger,
            lease,
            _release_no_shards,
        )
        self.alive[name] = Node(
            service=service, ownership=rebalancer, lease=lease, membership=membership
        )
        return self.alive[name]

    async def settle(self) -> None:
        for _ in range(SETTLE_ROUNDS):
            for node in self.alive.values():
                await node.ownership.step()
                await node.ownership.messenger.step(node.shards)
            for _ in range(LOOP_ITERATIONS):
                await asyncio.sleep(0)

    async def kill(self, name: str) -> None:
        """Kill a node: it loses its liveness lock, and whatever it was doing is lost."""
        node = self.alive.pop(name)
        await node.membership.close()
        await node.service.driver.drain(timedelta())
        self.clock.advance(timedelta(seconds=1))

    def freeze(self, name: str) -> Node:
        """Freeze a node for longer than its lease, without its knowing."""
        self.clock.advance(timedelta(seconds=11))
        return self.alive.pop(name)

    def thaw(self, name: str, node: Node) -> None:
        self.alive[name] = node

    async def close(self) -> None:
        for node in self.alive.values():
            await node.service.driver.drain(timedelta())
            await node.ownership.close()

    async def _unfinished(self, shard_ids: Sequence[int]) -> list[UnfinishedSaga]:
        journal = next(iter(self.alive.values())).service.orchestrator.repository
        streams = [
            stream_id for stream_id in self.store.streams if shard_of(stream_id) in shard_ids
        ]
        found = (await journal.load_many(streams)).items()
        going = [
            saga_id
            for saga_id, saga in found
            if isinstance(saga, Saga) and not needs_no_recovery(saga)
        ]
        return [unfinished_saga(saga_id) for saga_id in going]


async def _release_no_shards(shard_ids: Collection[int]) -> None:
    """Do nothing: there are no read models here."""
