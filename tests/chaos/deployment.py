"""Everything that can fail: several nodes, each with its own way to one database, and participants.

    clients ──> node 1 .. n ──> a name, two addresses ──> recording proxy ──> participants, one of
                     │                                                        which calls back
                     ├── network 1 .. n ──> PostgreSQL
                     └── the receiver of webhooks

A supervisor starts each process again that ends and should run.
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
from saga_orchestrator.tests.support.tcp_proxy import TcpProxy

DEFINITIONS = Path(__file__).with_name("definitions")
SUPERVISION_INTERVAL_SECONDS = 0.1


@dataclass(slots=True)
class SupervisedProcess:
    """A process that is started again whenever it has ended, while it `should_run`."""

    server: ServerProcess
    should_run: bool = True
    launches: int = 0

    def ensure_running(self) -> None:
        if self.should_run and not self.server.is_alive:
            self.server.launch()
            self.launches += 1


@dataclass(slots=True)
class ChaosDeployment:
    """`processes` and `database_proxies` are known by the names of targets of faults."""

    folder: Path
    database_port: int
    database_url: str
    proxy: RecordingProxy
    processes: dict[str, SupervisedProcess]
    database_proxies: dict[str, TcpProxy]
    addresses: ParticipantAddresses
    receiver: WebhookReceiver

    @property
    def nodes(self) -> Sequence[ServerProcess]:
        return [each.server for name, each in self.processes.items() if name.startswith("node")]

    async def supervise(self) -> None:
        """Start what has ended again, until cancelled."""
        while True:
            for process in self.processes.values():
                process.ensure_running()
            await asyncio.sleep(SUPERVISION_INTERVAL_SECONDS)

    def await_health(self) -> None:
        for process in self.processes.values():
            process.server.await_health()


@asynccontextmanager
async def chaos_deployment(folder: Path, nodes: int) -> AsyncIterator[ChaosDeployment]:
    """Run a deployment in which every process is ready, and end all of it after the block."""
    async with AsyncExitStack() as stack:
        port, parcel_port = free_port(), free_port()
        database_url = await _run_database(folder, port, stack)
        processes: dict[str, SupervisedProcess] = {}
        urls = {ORDERS: "", PAYMENTS: "", PARCELS: f"http://127.0.0.1:{parcel_port}"}
        for name in (ORDERS, PAYMENTS):
            server = participant_process(f"{name.removesuffix('s')}_service", folder)
            processes[name], urls[name] = SupervisedProcess(server), server.url
        proxy = stack.enter_context(RecordingProxy(urls).running())
        proxy_port = int(proxy.url.rpartition(":")[2])
        addresses = ParticipantAddresses(folder, proxy_port, PARTICIPANTS)
        stack.enter_context(addresses.running())
        receiver = WebhookReceiver()
        await receiver.open()
        stack.push_async_callback(receiver.close)
        database_proxies: dict[str, TcpProxy] = {}
        for number in range(1, nodes + 1):
            network = stack.enter_context(TcpProxy(port).running())
            database_proxies[f"network {number}"] = network
            url = database_url.replace(f":{port}/", f":{network.port}/")
            node = _node(folder / f"node-{number}.log", proxy, url, addresses)
            processes[f"node {number}"] = SupervisedProcess(node)
        deployment = ChaosDeployment(
            folder, port, database_url, proxy, processes, database_proxies, addresses, receiver
        )
        parcel_service = _parcel_service(parcel_port, folder, deployment.nodes)
        processes[PARCELS] = SupervisedProcess(parcel_service)
        for process in processes.values():
            stack.push_async_callback(asyncio.to_thread, process.server.end)
            process.ensure_running()
        await asyncio.to_thread(deployment.await_health)
        supervision = asyncio.create_task(deployment.supervise())
        stack.callback(supervision.cancel)  # first, so that no process is started again at the end
        yield deployment


def _node(
    log: Path, proxy: RecordingProxy, database_url: str, addresses: ParticipantAddresses
) -> ServerProcess:
    return orchestrator_process(
        log,
        proxy,
        DATABASE_URL=database_url,
        ORDER_SERVICE_URL=addresses.url(ORDERS),
        PAYMENT_SERVICE_URL=addresses.url(PAYMENTS),
        PARCEL_SERVICE_URL=addresses.url(PARCELS),
        SAGA_CALLBACK_LOOPBACK="true",
        SAGA_DEFINITIONS_DIR=str(DEFINITIONS),
        **addresses.environ(),
    )


def _parcel_service(port: int, folder: Path, nodes: Sequence[ServerProcess]) -> ServerProcess:
    """Return the participant that calls back, at any node and without a proxy."""
    module = ("-m", "saga_orchestrator.tests.chaos.async_participant")
    urls = [node.url for node in nodes]
    options = ("--port", str(port), "--data", str(folder), "--nodes", *urls)
    return ServerProcess(
        (sys.executable, *module, *options),
        f"http://127.0.0.1:{port}",
        clean_environ(),
        folder / "parcel_service.log",
    )


async def _run_database(folder: Path, port: int, stack: AsyncExitStack) -> str:
    """Start a database that ends with `stack`; return its URL."""
    server = embedded_server(folder / "postgresql", tcp_port=port)
    started = await asyncio.to_thread(server.__enter__)
    stack.push_async_callback(asyncio.to_thread, server.__exit__, None, None, None)
    return started.url
