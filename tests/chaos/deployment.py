"""All that can fail: several nodes, each with its own way to one database, and the participants.

    customers ──> node 1 .. n ──> a name, two addresses ──> relay ──> participants, one of which
                       │                                                  calls back
                       ├── wire 1 .. n ──> PostgreSQL
                       └── the receiver of callbacks

Programs are watched over as a supervisor does it: whoever ends and should run is started again.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from saga_orchestrator.eventstore.embedded import embedded_server
from saga_orchestrator.tests.acceptance.deployment import orchestrator_process
from saga_orchestrator.tests.acceptance.process import (
    ServerProcess,
    clean_environ,
    free_port,
    participant_process,
)
from saga_orchestrator.tests.acceptance.recording_proxy import RecordingProxy
from saga_orchestrator.tests.chaos.fault_schedule import ORDERS, PARCELS, PARTICIPANTS, PAYMENTS
from saga_orchestrator.tests.chaos.participant_addresses import ParticipantAddresses
from saga_orchestrator.tests.chaos.webhook_receiver import WebhookReceiver
from saga_orchestrator.tests.chaos.wire import Wire

DEFINITIONS = Path(__file__).with_name("definitions")
LOOK_AGAIN_SECONDS = 0.1


@dataclass(slots=True)
class SupervisedProcess:
    """Started again whenever it has ended, unless it is `wanted` no more."""

    server: ServerProcess
    should_run: bool = True
    launches: int = 0

    def ensure_running(self) -> None:
        if self.should_run and not self.server.is_alive:
            self.server.launch()
            self.launches += 1


@dataclass(slots=True)
class ChaosDeployment:
    folder: Path
    database_port: int
    database_url: str
    proxy: RecordingProxy
    processes: dict[str, SupervisedProcess]
    database_proxies: dict[str, Wire]
    addresses: ParticipantAddresses
    receiver: WebhookReceiver

    @property
    def nodes(self) -> Sequence[ServerProcess]:
        return [one.server for name, one in self.processes.items() if name.startswith("node")]

    async def supervise(self) -> None:
        """Until it is cancelled."""
        while True:
            for one in self.processes.values():
                one.ensure_running()
            await asyncio.sleep(LOOK_AGAIN_SECONDS)

    def await_health(self) -> None:
        for one in self.processes.values():
            one.server.await_health()


@asynccontextmanager
async def chaos_deployment(folder: Path, nodes: int) -> AsyncIterator[ChaosDeployment]:
    """Everything serves; nothing of it is left at the end."""
    async with AsyncExitStack() as stack:
        port, parcel_port = free_port(), free_port()
        server = await _database(folder, port, stack)
        urls = {ORDERS: "", PAYMENTS: "", PARCELS: f"http://127.0.0.1:{parcel_port}"}
        watched = {}
        for name in (ORDERS, PAYMENTS):
            program = participant_process(f"{name.removesuffix('s')}_service", folder)
            watched[name], urls[name] = SupervisedProcess(program), program.url
        relay = RecordingProxy(urls)
        stack.enter_context(relay.running())
        relay_port = int(relay.url.rpartition(":")[2])
        addresses, receiver = (
            ParticipantAddresses(folder, relay_port, PARTICIPANTS),
            WebhookReceiver(),
        )
        for place in (addresses, receiver):
            await place.open()
            stack.push_async_callback(place.close)
        wires = {}
        for number in range(1, nodes + 1):
            wire = wires[f"network {number}"] = Wire(port)
            url = server.replace(f":{port}/", f":{await wire.lay()}/")
            stack.push_async_callback(wire.close)
            log = folder / f"node-{number}.log"
            watched[f"node {number}"] = SupervisedProcess(_node(log, relay, url, addresses))
        town = ChaosDeployment(folder, port, server, relay, watched, wires, addresses, receiver)
        parcels = _parcel_service(parcel_port, folder, [one.url for one in town.nodes])
        watched[PARCELS] = SupervisedProcess(parcels)
        for one in watched.values():
            stack.push_async_callback(asyncio.to_thread, one.server.end)
            one.ensure_running()
        await asyncio.to_thread(town.await_health)
        watch = asyncio.create_task(town.supervise())
        stack.callback(watch.cancel)  # first of all: what ends now is not to be started again
        yield town


def _node(
    log: Path, relay: RecordingProxy, database_url: str, addresses: ParticipantAddresses
) -> ServerProcess:
    return orchestrator_process(
        log,
        relay,
        DATABASE_URL=database_url,
        ORDER_SERVICE_URL=addresses.url(ORDERS),
        PAYMENT_SERVICE_URL=addresses.url(PAYMENTS),
        PARCEL_SERVICE_URL=addresses.url(PARCELS),
        SAGA_CALLBACK_LOOPBACK="true",
        SAGA_DEFINITIONS_DIR=str(DEFINITIONS),
        **addresses.environ(),
    )


def _parcel_service(port: int, folder: Path, nodes: Sequence[str]) -> ServerProcess:
    """It calls back through any of the nodes, and not through the relay."""
    module = ("-m", "saga_orchestrator.tests.chaos.async_participant")
    given = ("--port", str(port), "--data", str(folder), "--nodes", *nodes)
    log = folder / "parcel_service.log"
    arguments = (sys.executable, *module, *given)
    return ServerProcess(arguments, f"http://127.0.0.1:{port}", clean_environ(), log)


async def _database(folder: Path, port: int, stack: AsyncExitStack) -> str:
    server = embedded_server(folder / "postgresql", tcp_port=port)
    started = await asyncio.to_thread(server.__enter__)
    stack.push_async_callback(asyncio.to_thread, server.__exit__, None, None, None)
    return started.url
