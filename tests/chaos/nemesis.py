"""The injection of faults: how each kind begins and ends."""

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
from saga_orchestrator.tests.support.tcp_proxy import HalfOpen
from saga_orchestrator.tests.support.waiting import wait_until

Injection = Callable[[ChaosDeployment, str], AbstractAsyncContextManager[None]]
Log = Callable[[str], None]
UNREACHABLE_ADDRESS: Final = "127.0.0.3"


async def inject(deployment: ChaosDeployment, faults: Sequence[Fault], log: Log) -> None:
    """Inject each fault at its time; return when all of them are over."""
    began = asyncio.get_running_loop().time()
    async with asyncio.TaskGroup() as group:
        for fault in faults:
            await asyncio.sleep(began + fault.at - asyncio.get_running_loop().time())
            log(str(fault))
            group.create_task(_inject(deployment, fault))


async def _inject(deployment: ChaosDeployment, fault: Fault) -> None:
    async with INJECTIONS[fault.kind](deployment, fault.target):
        await asyncio.sleep(fault.lasts)


# Processes


@asynccontextmanager
async def _killed(deployment: ChaosDeployment, name: str) -> AsyncIterator[None]:
    process = deployment.processes[name]
    process.should_run = False
    if process.server.is_alive:
        await asyncio.to_thread(process.server.kill)
    yield
    process.should_run = True


@asynccontextmanager
async def _terminated(deployment: ChaosDeployment, name: str) -> AsyncIterator[None]:
    process = deployment.processes[name]
    process.should_run = False
    if process.server.is_alive:
        process.server.terminate()
        await asyncio.to_thread(process.server.wait)
    yield
    process.should_run = True


@asynccontextmanager
async def _frozen(deployment: ChaosDeployment, name: str) -> AsyncIterator[None]:
    server = deployment.processes[name].server
    if server.is_alive:
        server.freeze()
    yield
    if server.is_alive:
        server.thaw()


@asynccontextmanager
async def _hanging(deployment: ChaosDeployment, _: str) -> AsyncIterator[None]:
    deployment.receiver.hangs = True
    yield
    deployment.receiver.hangs = False


# Names and addresses of participants


@asynccontextmanager
async def _name_server_silent(deployment: ChaosDeployment, target: str) -> AsyncIterator[None]:
    participant = _participant_of(target)
    deployment.addresses.silence(participant)
    yield
    deployment.addresses.resolve_correctly(participant)


@asynccontextmanager
async def _first_address_silent(deployment: ChaosDeployment, target: str) -> AsyncIterator[None]:
    """Resolve a name to an address that drops packets, followed by the right one."""
    participant, addresses = _participant_of(target), deployment.addresses
    with black_hole(UNREACHABLE_ADDRESS, addresses.ports[participant]):
        current = addresses.current_address[participant]
        addresses.resolve_to(participant, UNREACHABLE_ADDRESS, current)
        yield
        addresses.resolve_correctly(participant)


@asynccontextmanager
async def _moved(deployment: ChaosDeployment, target: str) -> AsyncIterator[None]:
    deployment.addresses.move(_participant_of(target))
    yield


def _participant_of(target: str) -> str:
    return target.removeprefix("address of ")


# Networks between nodes and the database


@asynccontextmanager
async def _silent(deployment: ChaosDeployment, name: str) -> AsyncIterator[None]:
    with deployment.database_proxies[name].silent():
        yield


@asynccontextmanager
async def _reset(deployment: ChaosDeployment, name: str) -> AsyncIterator[None]:
    deployment.database_proxies[name].reset()
    yield


@asynccontextmanager
async def _refused(deployment: ChaosDeployment, name: str) -> AsyncIterator[None]:
    with deployment.database_proxies[name].cut():
        yield


@asynccontextmanager
async def _half_open(seen: HalfOpen, deployment: ChaosDeployment, name: str) -> AsyncIterator[None]:
    deployment.database_proxies[name].leave_half_open(seen)
    yield


# The database


@asynccontextmanager
async def _down(number: signal.Signals, deployment: ChaosDeployment, _: str) -> AsyncIterator[None]:
    """Signal the server; it keeps what is committed, and nothing else. Start it again after."""
    home = deployment.folder / "postgresql"
    os.kill(int((home / "cluster" / "postmaster.pid").read_text().split()[0]), number)
    yield
    directory = PostgresDataDirectory(home, deployment.database_port)
    await asyncio.to_thread(wait_until, partial(_starts, directory), "PostgreSQL is back")


def _starts(directory: PostgresDataDirectory) -> bool:
    """True if the server runs; it cannot start before the last old process has ended."""
    with suppress(EmbeddedServerFailed):
        directory.ensure_running()
        return True
    return False


@asynccontextmanager
async def _disconnected(deployment: ChaosDeployment, _: str) -> AsyncIterator[None]:
    with suppress(psycopg.OperationalError):
        await asyncio.to_thread(_terminate_sessions, deployment.database_url)
    yield


def _terminate_sessions(url: str) -> None:
    statement = f"select pg_terminate_backend(pid) from ({CLIENT_SESSIONS}) as client"
    with psycopg.connect(url, autocommit=True) as operator:
        operator.execute(statement.encode())


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
    FaultKind.CUT: _reset,
    FaultKind.REFUSE: _refused,
    FaultKind.HALF_OPEN: partial(_half_open, HalfOpen.RESET),
    FaultKind.FORGET: partial(_half_open, HalfOpen.SILENT),
    FaultKind.CRASH_DATABASE: partial(_down, signal.SIGQUIT),
    FaultKind.KILL_DATABASE: partial(_down, signal.SIGKILL),
    FaultKind.DISCONNECT: _disconnected,
}
