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
from saga_orchestrator.eventstore.cluster import Cluster
from saga_orchestrator.eventstore.errors import EmbeddedServerFailed
from saga_orchestrator.tests.acceptance.database import CLIENTS
from saga_orchestrator.tests.acceptance.waiting import until
from saga_orchestrator.tests.chaos.schedule import Fault, Kind
from saga_orchestrator.tests.chaos.town import Town
from saga_orchestrator.tests.integration.participants.names import black_hole

Suffering = Callable[[Town, str], AbstractAsyncContextManager[None]]
Say = Callable[[str], None]
NOWHERE: Final = "127.0.0.3"


async def rage(town: Town, faults: Sequence[Fault], say: Say) -> None:
    """Returns when all of them are over."""
    began = asyncio.get_running_loop().time()
    async with asyncio.TaskGroup() as group:
        for fault in faults:
            await asyncio.sleep(began + fault.at - asyncio.get_running_loop().time())
            say(str(fault))
            group.create_task(_suffer(town, fault))


async def _suffer(town: Town, fault: Fault) -> None:
    async with SUFFERED[fault.kind](town, fault.target):
        await asyncio.sleep(fault.lasts)


@asynccontextmanager
async def _killed(town: Town, name: str) -> AsyncIterator[None]:
    one = town.watched[name]
    one.wanted = False
    if one.program.is_alive:
        await asyncio.to_thread(one.program.kill)
    yield
    one.wanted = True


@asynccontextmanager
async def _terminated(town: Town, name: str) -> AsyncIterator[None]:
    one = town.watched[name]
    one.wanted = False
    if one.program.is_alive:
        one.program.terminate()
        await asyncio.to_thread(one.program.wait)
    yield
    one.wanted = True


@asynccontextmanager
async def _frozen(town: Town, name: str) -> AsyncIterator[None]:
    program = town.watched[name].program
    if program.is_alive:
        program.freeze()
    yield
    if program.is_alive:
        program.thaw()


@asynccontextmanager
async def _nameless(town: Town, target: str) -> AsyncIterator[None]:
    participant = _who(target)
    town.addresses.hush(participant)
    yield
    town.addresses.lead_home(participant)


@asynccontextmanager
async def _led_astray(town: Town, target: str) -> AsyncIterator[None]:
    """To an address where nobody answers, and then to the right one."""
    participant, addresses = _who(target), town.addresses
    with black_hole(NOWHERE, addresses.ports[participant]):
        addresses.lead(participant, NOWHERE, addresses.lives_at[participant])
        yield
        addresses.lead_home(participant)


@asynccontextmanager
async def _moved(town: Town, target: str) -> AsyncIterator[None]:
    town.addresses.move(_who(target))
    yield


def _who(target: str) -> str:
    return target.removeprefix("address of ")


@asynccontextmanager
async def _hanging(town: Town, _: str) -> AsyncIterator[None]:
    town.receiver.hangs = True
    yield
    town.receiver.hangs = False


@asynccontextmanager
async def _silent(town: Town, name: str) -> AsyncIterator[None]:
    town.wires[name].silence()
    yield
    town.wires[name].resound()


@asynccontextmanager
async def _cut(town: Town, name: str) -> AsyncIterator[None]:
    town.wires[name].cut()
    yield


@asynccontextmanager
async def _half_open(reset: bool, town: Town, name: str) -> AsyncIterator[None]:
    town.wires[name].leave_half_open(reset=reset)
    yield


@asynccontextmanager
async def _refused(town: Town, name: str) -> AsyncIterator[None]:
    wire = town.wires[name]
    wire.refuses = True
    wire.cut()
    yield
    wire.refuses = False


@asynccontextmanager
async def _down(number: signal.Signals, town: Town, _: str) -> AsyncIterator[None]:
    """Nothing that was committed is lost; everything else is."""
    home = town.folder / "postgresql"
    os.kill(int((home / "cluster" / "postmaster.pid").read_text().split()[0]), number)
    yield
    cluster = Cluster(home, town.database_port)
    await asyncio.to_thread(until, partial(_starts, cluster), "PostgreSQL is back")


def _starts(cluster: Cluster) -> bool:
    """Not before the last process of the one before it has ended."""
    with suppress(EmbeddedServerFailed):
        cluster.ensure_running()
        return True
    return False


@asynccontextmanager
async def _disconnected(town: Town, _: str) -> AsyncIterator[None]:
    with suppress(psycopg.OperationalError):
        await asyncio.to_thread(_terminate_sessions, town.database_url)
    yield


def _terminate_sessions(url: str) -> None:
    with psycopg.connect(url, autocommit=True) as operator:
        operator.execute(f"select pg_terminate_backend(pid) from ({CLIENTS}) as client".encode())


SUFFERED: Final[Mapping[Kind, Suffering]] = {
    Kind.KILL_NODE: _killed,
    Kind.FREEZE_NODE: _frozen,
    Kind.STOP_NODE: _terminated,
    Kind.KILL_PARTICIPANT: _killed,
    Kind.FREEZE_PARTICIPANT: _frozen,
    Kind.SILENT_NAME: _nameless,
    Kind.SILENT_ADDRESS: _led_astray,
    Kind.MOVE: _moved,
    Kind.HANG: _hanging,
    Kind.SILENCE: _silent,
    Kind.CUT: _cut,
    Kind.REFUSE: _refused,
    Kind.HALF_OPEN: partial(_half_open, True),
    Kind.FORGET: partial(_half_open, False),
    Kind.CRASH_DATABASE: partial(_down, signal.SIGQUIT),
    Kind.KILL_DATABASE: partial(_down, signal.SIGKILL),
    Kind.DISCONNECT: _disconnected,
}
