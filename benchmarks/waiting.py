"""What sagas cost that only wait: memory, CPU, and the time until a restart is ready with them.

    python benchmarks/waiting.py [--sagas 100000]

Starts a service of its own on an embedded PostgreSQL in a temporary folder, lets it start sagas
that wait for a signal and sagas that sleep for a day, and kills it with -9 before the restart.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

DEFINITIONS = [
    {
        "saga": "listening",
        "version": 1,
        "steps": [{"name": "approval", "wait_for": {"signal": "approved", "timeout": "30d"}}],
    },
    {"saga": "sleeping", "version": 1, "steps": [{"name": "nap", "sleep": "1d"}]},
]
AT_ONCE = 64
IDLE_SECONDS = 20.0
TICKS = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")


class Service:
    def __init__(self, folder: Path, port: int) -> None:
        self.folder, self.url = folder, f"http://127.0.0.1:{port}"
        self.environ = {
            **os.environ,
            "SERVICE_PORT": str(port),
            "SAGA_DATA_DIR": str(folder / "data"),
            "SAGA_LOG_LEVEL": "warning",
        }
        self.process = self.start()

    def start(self) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "saga_orchestrator.cli", "serve"]
        self.process = subprocess.Popen(command, env=self.environ, cwd=self.folder)
        return self.process

    def ready(self) -> float:
        """Seconds from the start of the process until it serves."""
        began = time.monotonic()
        while time.monotonic() - began < 120:
            try:
                if httpx.get(f"{self.url}/readyz", timeout=1).status_code == 200:
                    return time.monotonic() - began
            except httpx.TransportError:
                time.sleep(0.02)
        raise SystemExit("the service was not ready within two minutes")

    @property
    def megabytes(self) -> float:
        pages = Path(f"/proc/{self.process.pid}/statm").read_text().split()[1]
        return int(pages) * PAGE / 2**20

    @property
    def cpu_seconds(self) -> float:
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICKS


async def start_sagas(url: str, sagas: int) -> None:
    headers = {"Prefer": "respond-async"}
    numbers = iter(range(sagas))
    async with httpx.AsyncClient(base_url=url, timeout=60) as client:
        for definition in DEFINITIONS:
            path = f"/definitions/{definition['saga']}/1"
            (await client.put(path, json=definition)).raise_for_status()

    async def worker() -> None:
        async with httpx.AsyncClient(base_url=url, timeout=60, headers=headers) as client:
            for number in numbers:
                kind = DEFINITIONS[number % 2]["saga"]
                body = {"saga_type": kind, "entity_id": number}
                (await client.post("/sagas/start", json=body)).raise_for_status()
                if number % 10_000 == 9_999:
                    print(f"  {number + 1:,} sagas wait", file=sys.stderr)

    await asyncio.gather(*(worker() for _ in range(AT_ONCE)))


@contextmanager
def service() -> Iterator[Service]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with tempfile.TemporaryDirectory(prefix="waiting-", ignore_cleanup_errors=True) as folder:
        os.chmod(folder, 0o755)
        one = Service(Path(folder), port)
        try:
            yield one
        finally:
            one.process.send_signal(signal.SIGTERM)
            one.process.wait(30)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sagas", type=int, default=100_000)
    options = parser.parse_args()
    with service() as one:
        one.ready()
        before = one.megabytes
        asyncio.run(start_sagas(one.url, options.sagas))
        time.sleep(2)
        cpu = one.cpu_seconds
        time.sleep(IDLE_SECONDS)
        share = (one.cpu_seconds - cpu) / IDLE_SECONDS
        print(f"memory  {before:.0f} MB before, {one.megabytes:.0f} MB with them")
        print(f"CPU     {share:.2%} of a core while they wait")
        one.process.send_signal(signal.SIGKILL)
        one.process.wait()
        one.start()
        print(f"restart {one.ready():.1f} s until ready, {one.megabytes:.0f} MB")


if __name__ == "__main__":
    main()
