"""The child processes of the demo: started in order, watched, stopped in reverse order.

Each child is the leader of its own session, so Ctrl-C in the terminal reaches only the demo, which
then stops the children one after the other: the orchestrator before the participants that it calls.
A child that exits by itself ends the demo, with the last lines of its log.
"""

from __future__ import annotations

import asyncio
import errno
import os
import signal
import socket
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import NoReturn

import httpx

from .addresses import Address, DemoFailed

HEALTH_TIMEOUT = timedelta(seconds=2)
POLL_INTERVAL = timedelta(milliseconds=100)
STOP_TIMEOUT = timedelta(seconds=15)
LOG_TAIL_LINES = 15  # lines


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """A program to run, and the address on which it will listen."""

    name: str
    arguments: Sequence[str]
    address: Address
    log: Path
    environ: Mapping[str, str]


class ChildProcess:
    """One running program."""

    def __init__(self, program: Program, process: asyncio.subprocess.Process) -> None:
        self.program = program
        self._process = process

    async def is_healthy(self, client: httpx.AsyncClient) -> bool:
        health = f"{self.program.address.url}/health"
        with suppress(httpx.TransportError):
            reply = await client.get(health, timeout=HEALTH_TIMEOUT.total_seconds())
            return reply.status_code == httpx.codes.OK
        return False

    async def healthy_within(self, client: httpx.AsyncClient, within: timedelta) -> bool:
        clock = asyncio.get_running_loop().time
        until = clock() + within.total_seconds()
        while clock() < until:
            if await self.is_healthy(client):
                return True
            await asyncio.sleep(POLL_INTERVAL.total_seconds())
        return False

    def failure(self, what: str) -> DemoFailed:
        """Return an error with `what` happened and the last lines of the log."""
        return DemoFailed(with_log_tail(f"{self.program.name} {what}", self.program.log))

    async def fail_on_exit(self) -> NoReturn:
        """Wait for the process to exit, then raise DemoFailed."""
        code = await self._process.wait()
        raise self.failure(describe_exit(code))

    async def stop(self) -> None:
        """Terminate the process, kill it if that takes too long, and return when it is gone."""
        with suppress(ProcessLookupError):
            self._process.send_signal(signal.SIGTERM)
        try:
            async with asyncio.timeout(STOP_TIMEOUT.total_seconds()):
                await self._process.wait()
        except TimeoutError:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            await self._process.wait()


@asynccontextmanager
async def running_children(programs: Sequence[Program]) -> AsyncIterator[Sequence[ChildProcess]]:
    """Start `programs` in order, and stop them in reverse order, whatever happens."""
    for program in programs:
        require_free_port(program)
    children: list[ChildProcess] = []
    try:
        for program in programs:
            children.append(await start(program))
        yield children
    finally:
        for child in reversed(children):
            await child.stop()


async def start(program: Program) -> ChildProcess:
    program.log.parent.mkdir(parents=True, exist_ok=True)
    with program.log.open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            *program.arguments,
            env=program.environ,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    return ChildProcess(program, process)


def require_free_port(program: Program) -> None:
    """Raise DemoFailed if the port is in use: that listener would answer our health checks."""
    address = program.address
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    try:
        socket.create_server((address.host, address.port), family=family).close()
    except OSError as error:
        taken = error.errno == errno.EADDRINUSE
        why = "is taken" if taken else f"cannot be used ({error.strerror})"
        raise DemoFailed(
            f"port {address.port} {why}, so {program.name} cannot start: "
            f"stop what listens there, or set {address.setting} to another port"
        ) from error


def describe_exit(code: int) -> str:
    """Describe an exit code; a negative one is the number of the signal that ended the process."""
    return f"ended with exit code {code}" if code >= 0 else f"was ended by {signal_name(-code)}"


def signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def with_log_tail(message: str, log: Path) -> str:
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()[-LOG_TAIL_LINES:]
    tail = [f"    {line}" for line in lines] or ["    (empty)"]
    return "\n".join([f"{message}; its log, {log}, ends with:", *tail])
