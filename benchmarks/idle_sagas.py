"""Measure what waiting sagas cost: memory, CPU, and the time until a restart is ready with them.

    python benchmarks/idle_sagas.py [--sagas 100000] [--nap SECONDS] [--idle SECONDS]

Starts a service of its own on an embedded PostgreSQL in a temporary folder, and sagas in it: half
wait for a signal, half sleep. It is killed with -9 while they wait, and when it is ready again all
are woken: signals are sent, the sleep ends by itself. The exit code is 1 unless each saga was woken
exactly once, according to the log. Linux only.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import IO, Any

import httpx
from saga_orchestrator.benchmarks.processes import free_ports

LISTENING = {
    "saga": "listening",
    "version": 1,
    "steps": [{"name": "approval", "wait_for": {"signal": "approved", "timeout": "30d"}}],
}
CONCURRENT_CLIENTS = 64
PAGE_OF_EVENTS = 1000
TICKS = os.sysconf("SC_CLK_TCK")
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
READY_TIMEOUT_SECONDS = 120  # for a start, and for sagas that should have been woken
SETTLE_SECONDS = 3  # until the projector and the garbage collector have nothing left to do


class Service:
    def __init__(self, folder: Path, port: int, **settings: str) -> None:
        self.folder, self.url = folder, f"http://127.0.0.1:{port}"
        self.environ = {
            **os.environ,
            "SERVICE_PORT": str(port),
            "SAGA_DATA_DIR": str(folder / "data"),
            "SAGA_LOG_LEVEL": "warning",
            **settings,
        }
        self.process = self.start()

    def start(self, stderr: IO[bytes] | None = None) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "saga_orchestrator.cli", "serve"]
        self.process = subprocess.Popen(command, env=self.environ, cwd=self.folder, stderr=stderr)
        return self.process

    def ready(self) -> float:
        """Return the seconds from the start of the process until it serves."""
        began = time.monotonic()
        while time.monotonic() - began < READY_TIMEOUT_SECONDS:
            try:
                if httpx.get(f"{self.url}/readyz", timeout=1).status_code == 200:
                    return time.monotonic() - began
            except httpx.TransportError:
                time.sleep(0.02)
        raise SystemExit("the service was not ready in time")

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    @property
    def megabytes(self) -> float:
        pages = Path(f"/proc/{self.process.pid}/statm").read_text().split()[1]
        return int(pages) * PAGE_BYTES / 2**20

    @property
    def cpu_seconds(self) -> float:
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICKS

    def idle_share(self, seconds: float) -> float:
        """Return the share of a core while there are no requests."""
        time.sleep(SETTLE_SECONDS)
        before = self.cpu_seconds
        time.sleep(seconds)
        return (self.cpu_seconds - before) / seconds


@contextmanager
def running_service(**settings: str) -> Iterator[Service]:
    with tempfile.TemporaryDirectory(prefix="idle-sagas-", ignore_cleanup_errors=True) as folder:
        os.chmod(folder, 0o755)  # PostgreSQL runs under another account
        started = Service(Path(folder), free_ports(1)[0], **settings)
        try:
            yield started
        finally:
            started.process.send_signal(signal.SIGTERM)
            started.process.wait(30)


@asynccontextmanager
async def client_of(url: str) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=url, timeout=60) as client:
        yield client


async def start_sagas(url: str, sagas: int, nap: float) -> tuple[list[str], list[str]]:
    """Start sagas; return those that wait for a signal, and those that sleep."""
    sleeping = {
        "saga": "sleeping",
        "version": 1,
        "steps": [{"name": "nap", "sleep": f"{nap * 1000:.0f}ms"}],
    }
    async with client_of(url) as client:
        for definition in (LISTENING, sleeping):
            path = f"/definitions/{definition['saga']}/1"
            (await client.put(path, json=definition)).raise_for_status()
    started: dict[str, list[str]] = {"listening": [], "sleeping": []}

    async def start(client: httpx.AsyncClient, number: int) -> None:
        kind = ("listening", "sleeping")[number % 2]
        headers = {"Prefer": "respond-async"}
        body = {"saga_type": kind, "entity_id": number}
        answer = await client.post("/sagas/start", json=body, headers=headers)
        started[kind].append(answer.raise_for_status().json()["saga_id"])

    await each(url, range(sagas), start, "wait")
    return started["listening"], started["sleeping"]


async def send_signals(url: str, saga_ids: Sequence[str]) -> None:
    async def send(client: httpx.AsyncClient, number: int) -> None:
        path = f"/sagas/{saga_ids[number]}/signals/approved"
        (await client.post(path, json={"by": "anna"})).raise_for_status()

    await each(url, range(len(saga_ids)), send, "have their signal")


async def each(
    url: str,
    numbers: range,
    work: Callable[[httpx.AsyncClient, int], Awaitable[None]],
    done: str,
) -> None:
    """Do `work` for all numbers, some at a time, and report each tenth."""
    left, tenth = iter(numbers), max(len(numbers) // 10, 1)

    async def worker() -> None:
        async with client_of(url) as client:
            for number in left:
                await work(client, number)
                if (number + 1) % tenth == 0:
                    progress(f"{number + 1:,} sagas {done}")

    async with asyncio.TaskGroup() as workers:
        for _ in range(CONCURRENT_CLIENTS):
            workers.create_task(worker())


async def all_completed(url: str, sagas: int, within: float) -> None:
    """Wait until all sagas are completed. Raises SystemExit if they are not in time."""
    end, reported = time.monotonic() + within, 0
    async with client_of(url) as client:
        while (completed := await count(client, "completed")) < sagas:
            if time.monotonic() > end:
                raise SystemExit(f"lost: only {completed:,} of {sagas:,} sagas have been woken")
            if completed != reported:
                progress(f"{completed:,} sagas are completed")
            reported = completed
            await asyncio.sleep(1)


async def count(client: httpx.AsyncClient, status: str) -> int:
    totals = (await client.get("/stats")).raise_for_status().json()["totals"]
    return int(totals[status])


async def waiting(url: str) -> int:
    async with client_of(url) as client:
        return await count(client, "running")


async def woken(url: str) -> Counter[str]:
    """Return how often the log has woken each saga."""
    wakeups: Counter[str] = Counter()
    path: str | None = f"/events?type=StepSucceeded&limit={PAGE_OF_EVENTS}"
    async with client_of(url) as client:
        while path is not None:
            answer = (await client.get(path)).raise_for_status()
            page: dict[str, Any] = answer.json()
            wakeups.update(event["saga_id"] for event in page["events"])
            path = answer.links["next"]["url"] if "next" in answer.links else None
    return wakeups


def progress(line: str) -> None:
    print(f"  {line}", file=sys.stderr, flush=True)


def measure(service: Service, sagas: int, nap: float, idle: float) -> None:
    service.ready()
    before, share = service.megabytes, service.idle_share(idle)
    listening, sleeping = asyncio.run(start_sagas(service.url, sagas, nap))
    share_with_them = service.idle_share(idle)
    print(f"waiting {asyncio.run(waiting(service.url)):,} sagas")
    print(f"memory  {before:.0f} MB before, {service.megabytes:.0f} MB with them")
    print(f"CPU     {share:.2%} of a core before, {share_with_them:.2%} while they wait")
    service.kill()
    service.start()
    ready = service.ready()
    print(f"restart {ready:.1f} s until ready, {service.cpu_seconds:.1f} s of CPU time")
    asyncio.run(send_signals(service.url, listening))
    asyncio.run(all_completed(service.url, sagas, nap + READY_TIMEOUT_SECONDS))
    if asyncio.run(woken(service.url)) != Counter([*listening, *sleeping]):
        raise SystemExit("wrong: not every saga was woken, and each once")
    print(f"woken   {sagas:,} sagas, each once")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sagas", type=int, default=100_000)
    parser.add_argument("--nap", type=float, help="seconds; by default for as long as it may take")
    parser.add_argument("--idle", type=float, default=20, help="seconds to measure CPU time over")
    options = parser.parse_args()
    nap = options.nap if options.nap is not None else 60 + options.sagas / 200
    with running_service() as service:
        measure(service, options.sagas, nap, options.idle)


if __name__ == "__main__":
    main()
