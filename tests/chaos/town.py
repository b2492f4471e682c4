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

from saga_orchestrator.eventstore import embedded_server
from saga_orchestrator.tests.acceptance.fix_house import service
from saga_orchestrator.tests.acceptance.program import (
    Program,
    clean_environ,
    free_port,
    participant,
)
from saga_orchestrator.tests.acceptance.relay import Relay
from saga_orchestrator.tests.chaos.addresses import Addresses
from saga_orchestrator.tests.chaos.receiver import Receiver
from saga_orchestrator.tests.chaos.schedule import ORDERS, PARCELS, PARTICIPANTS, PAYMENTS
from saga_orchestrator.tests.chaos.wire import Wire

DEFINITIONS = Path(__file__).with_name("definitions")
LOOK_AGAIN_SECONDS = 0.1


@dataclass(slots=True)
class Watched:
    """Started again whenever it has ended, unless it is `wanted` no more."""

    program: Program
    wanted: bool = True
    launches: int = 0

    def look_after(self) -> None:
        if self.wanted and not self.program.is_alive:
            self.program.launch()
            self.launches += 1


@dataclass(slots=True)
class Town:
    folder: Path
    database_port: int
    database_url: str
    relay: Relay
    watched: dict[str, Watched]
    wires: dict[str, Wire]
    addresses: Addresses
    receiver: Receiver

    @property
    def nodes(self) -> Sequence[Program]:
        return [one.program for name, one in self.watched.items() if name.startswith("node")]

    async def watch(self) -> None:
        """Until it is cancelled."""
        while True:
            for one in self.watched.values():
                one.look_after()
            await asyncio.sleep(LOOK_AGAIN_SECONDS)

    def await_health(self) -> None:
        for one in self.watched.values():
            one.program.await_health()


@asynccontextmanager
async def a_town(folder: Path, nodes: int) -> AsyncIterator[Town]:
    """Everything serves; nothing of it is left at the end."""
    async with AsyncExitStack() as stack:
        port, parcel_port = free_port(), free_port()
        server = await _database(folder, port, stack)
        urls = {ORDERS: "", PAYMENTS: "", PARCELS: f"http://127.0.0.1:{parcel_port}"}
        watched = {}
        for name in (ORDERS, PAYMENTS):
            program = participant(f"{name.removesuffix('s')}_service", folder)
            watched[name], urls[name] = Watched(program), program.url
        relay = Relay(urls)
        stack.enter_context(relay.running())
        relay_port = int(relay.url.rpartition(":")[2])
        addresses, receiver = Addresses(folder, relay_port, PARTICIPANTS), Receiver()
        for place in (addresses, receiver):
            await place.open()
            stack.push_async_callback(place.close)
        wires = {}
        for number in range(1, nodes + 1):
            wire = wires[f"network {number}"] = Wire(port)
            url = server.replace(f":{port}/", f":{await wire.lay()}/")
            stack.push_async_callback(wire.close)
            log = folder / f"node-{number}.log"
            watched[f"node {number}"] = Watched(_node(log, relay, url, addresses))
        town = Town(folder, port, server, relay, watched, wires, addresses, receiver)
        parcels = _parcel_service(parcel_port, folder, [one.url for one in town.nodes])
        watched[PARCELS] = Watched(parcels)
        for one in watched.values():
            stack.push_async_callback(asyncio.to_thread, one.program.end)
            one.look_after()
        await asyncio.to_thread(town.await_health)
        watch = asyncio.create_task(town.watch())
        stack.callback(watch.cancel)  # first of all: what ends now is not to be started again
        yield town


def _node(log: Path, relay: Relay, database_url: str, addresses: Addresses) -> Program:
    return service(
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


def _parcel_service(port: int, folder: Path, nodes: Sequence[str]) -> Program:
    """It calls back through any of the nodes, and not through the relay."""
    module = ("-m", "saga_orchestrator.tests.chaos.parcels")
    given = ("--port", str(port), "--data", str(folder), "--nodes", *nodes)
    log = folder / "parcel_service.log"
    arguments = (sys.executable, *module, *given)
    return Program(arguments, f"http://127.0.0.1:{port}", clean_environ(), log)


async def _database(folder: Path, port: int, stack: AsyncExitStack) -> str:
    server = embedded_server(folder / "postgresql", tcp_port=port)
    started = await asyncio.to_thread(server.__enter__)
    stack.push_async_callback(asyncio.to_thread, server.__exit__, None, None, None)
    return started.url
