"""How each kind of fault begins and ends."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from functools import partial
from typing import Final

import psycopg
from saga_orchestrator.eventstore.embedded import PostgresDataDirectory
from saga_orchestrator.eventstore.errors import EmbeddedServerFailed
from saga_orchestrator.tests.acceptance.database import CLIENT_SESSIONS
from saga_orchestrator.tests.chaos.deployment import ChaosDeployment
from saga_orchestrator.tests.chaos.fault_schedule import Fault, FaultKind
from saga_orchestrator.tests.integration.participants.names import black_hole
from saga_orchestrator.tests.support.waiting import wait_until

Injection = Callable[[ChaosDeployment, str], AbstractAsyncContextManager[None]]
Log = Callable[[str], None]
UNREACHABLE_ADDRESS: Final = "127.0.0.3"


async def inject(town: ChaosDeployment, faults: Sequence[Fault], say: Log) -> None:
    """Returns when all of them are over."""
    began = asyncio.get_running_loop().time()
    async with asyncio.TaskGroup() as group:
        for fault in faults:
            await asyncio.sleep(began + fault.at - asyncio.get_running_loop().time())
            say(str(fault))
            group.create_task(_inject(town, fault))


async def _inject(town: ChaosDeployment, fault: Fault) -> None:
    async with INJECTIONS[fault.kind](town, fault.target):
        await asyncio.sleep(fault.lasts)


@asynccontextmanager
async def _killed(town: ChaosDeployment, name: str) -> AsyncIterator[None]:
    one = town.processes[name]
    one.should_run = False
    if one.server.is_alive:
        await asyncio.to_thread(one.server.kill)
    yield
    one.should_run = True


@asynccontextmanager
async def _terminated(town: ChaosDeployment, name: str) -> AsyncIterator[None]:
    one = town.processes[name]
    one.should_run = False
    if one.server.is_alive:
        one.server.terminate()
        await asyncio.to_thread(one.server.wait)
    yield
    one.should_run = True


@asynccontextmanager
async def _frozen(town: ChaosDeployment, name: str) -> AsyncIterator[None]:
    program = town.processes[name].server
    if program.is_alive:
        program.freeze()
    yield
    if program.is_alive:
        program.thaw()


@asynccontextmanager
async def _name_server_silent(town: ChaosDeployment, target: str) -> AsyncIterator[None]:
    participant = _participant_of(target)
    town.addresses.silence(participant)
    yield
    town.addresses.resolve_correctly(participant)


@asynccontextmanager
async def _first_address_silent(town: ChaosDeployment, target: str) -> AsyncIterator[None]:
    """To an address where nobody answers, and then to the right one."""
    participant, addresses = _participant_of(target), town.addresses
    with black_hole(UNREACHABLE_ADDRESS, addresses.ports[participant]):
        addresses.resolve_to(
            participant, UNREACHABLE_ADDRESS, addresses.current_address[participant]
        )
        yield
        addresses.resolve_correctly(participant)


@asynccontextmanager
async def _moved(town: ChaosDeployment, target: str) -> AsyncIterator[None]:
    town.addresses.move(_participant_of(target))
    yield


def _participant_of(target: str) -> str:
    return target.removeprefix("address of ")


@asynccontextmanager
async def _hanging(town: ChaosDeployment, _: str) -> AsyncIterator[None]:
    town.receiver.hangs = True
    yield
    town.receiver.hangs = False


@asynccontextmanager
async def _silent(town: ChaosDeployment, name: str) -> AsyncIterator[None]:
    town.database_proxies[name].silence()
    yield
    town.database_proxies[name].resound()


@asynccontextmanager
async def _cut(town: ChaosDeployment, name: str) -> AsyncIterator[None]:
    town.database_proxies[name].cut()
    yield


@asynccontextmanager
async def _half_open(reset: bool, town: ChaosDeployment, name: str) -> AsyncIterator[None]:
    town.database_proxies[name].leave_half_open(reset=reset)
    yield


@asynccontextmanager
async def _refused(town: ChaosDeployment, name: str) -> AsyncIterator[None]:
    wire = town.database_proxies[name]
    wire.refuses = True
    wire.cut()
    yield
    wire.refuses = False


@asynccontextmanager
async def _down(number: signal.Signals, town: ChaosDeployment, _: str) -> AsyncIterator[None]:
    """Nothing that was committed is lost; everything else is."""
    home = town.folder / "postgresql"
    os.kill(int((home / "cluster" / "postmaster.pid").read_text().split()[0]), number)
    yield
    cluster = PostgresDataDirectory(home, town.database_port)
    await asyncio.to_thread(wait_until, partial(_starts, cluster), "PostgreSQL is back")


def _starts(cluster: PostgresDataDirectory) -> bool:
    """Not before the last process of the one before it has ended."""
    with suppress(EmbeddedServerFailed):
        cluster.ensure_running()
        return True
    return False


@asynccontextmanager
async def _disconnected(town: ChaosDeployment, _: str) -> AsyncIterator[None]:
    with suppress(psycopg.OperationalError):
        await asyncio.to_thread(_terminate_sessions, town.database_url)
    yield


def _terminate_sessions(url: str) -> None:
    with psycopg.connect(url, autocommit=True) as operator:
        operator.execute(
            f"select pg_terminate_backend(pid) from ({CLIENT_SESSIONS}) as client".encode()
        )


INJECTIONS: Final[Mapping[FaultKind, Injection]] = {
    FaultKind.KILL_NODE: _killed,
    FaultKind.FREEZE_NODE: _frozen,
    FaultKind.STOP_NODE: _terminated,
    FaultKind.KILL_PARTICIPANT: _killed,
    FaultKind.FREEZE_PARTICIPANT: _frozen,
    FaultKind.SILENT_NAME: _name_server_silent,
    FaultKind.SILENT_ADDRESS: _first_address_silent,
    FaultKind.MOVE: _moved,
    FaultKind.HANG: _hanging,
    FaultKind.SILENCE: _silent,
    FaultKind.CUT: _cut,
    FaultKind.REFUSE: _refused,
    FaultKind.HALF_OPEN: partial(_half_open, True),
    FaultKind.FORGET: partial(_half_open, False),
    FaultKind.CRASH_DATABASE: partial(_down, signal.SIGQUIT),
    FaultKind.KILL_DATABASE: partial(_down, signal.SIGKILL),
    FaultKind.DISCONNECT: _disconnected,
}
