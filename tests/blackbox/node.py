"""One process of the orchestrator: started, signalled and stopped."""

from __future__ import annotations

import asyncio
import os
import shlex
import signal
import socket
import subprocess
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import httpx

READY_TIMEOUT_SECONDS = 60.0  # from exec to a passing /health; a first start creates a database
STOP_TIMEOUT_SECONDS = 15.0
REQUEST_TIMEOUT_SECONDS = 35.0  # starts ask to wait for 20 s at most
HEALTH_TIMEOUT_SECONDS = 5.0
POLL_SECONDS = 0.05


class NotReady(Exception):
    """The orchestrator ended, or did not become healthy, after its start."""


class Node:
    """A process started with `command`; or, without one, a node that runs at `url`."""

    def __init__(self, url: str, command: str | None, env: Mapping[str, str], home: Path) -> None:
        self.command, self.env, self.home = command, env, home
        self.client = httpx.AsyncClient(
            base_url=url, timeout=REQUEST_TIMEOUT_SECONDS, trust_env=False
        )
        self.process: subprocess.Popen[bytes] | None = None
        self.started_at = 0.0
        self.was_killed = False

    @property
    def is_alive(self) -> bool:
        runs = self.process is not None and self.process.poll() is None
        return runs or self.command is None

    @property
    def log(self) -> Path:
        return self.home / "orchestrator.log"

    async def start(self) -> None:
        """Start the process and wait until it is healthy. Raises NotReady."""
        self.started_at, self.was_killed = time.time(), False
        if self.command:
            self.home.mkdir(parents=True, exist_ok=True)
            with self.log.open("ab") as log:
                self.process = subprocess.Popen(  # noqa: ASYNC220 - an exec is short
                    shlex.split(self.command),
                    env={**os.environ, **self.env},
                    cwd=self.home,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                )
        await self._await_health()

    async def _await_health(self) -> None:
        deadline = time.monotonic() + READY_TIMEOUT_SECONDS
        while time.monotonic() < deadline and self.is_alive:
            with suppress(httpx.TransportError):
                health = await self.client.get("/health", timeout=HEALTH_TIMEOUT_SECONDS)
                if health.status_code == httpx.codes.OK:
                    return
            await asyncio.sleep(POLL_SECONDS)
        if not self.was_killed:  # a script may kill it at its first call after a restart
            fault = "is not healthy" if self.is_alive else "ended"
            raise NotReady(f"the orchestrator {fault}: see {self.log}")

    def send_signal(self, number: signal.Signals) -> None:
        """Send a signal; after SIGKILL, return when the process is gone."""
        assert self.process is not None, "a node at --url cannot be signalled"
        self.process.send_signal(number)
        if number is signal.SIGKILL:
            self.was_killed = True
            self.process.wait()

    async def stop(self) -> None:
        """Terminate the process; kill what is left of its session."""
        if self.process and self.is_alive:
            self.send_signal(signal.SIGTERM)
            with suppress(subprocess.TimeoutExpired):
                await asyncio.to_thread(self.process.wait, STOP_TIMEOUT_SECONDS)
        if self.process:
            with suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
        await self.client.aclose()


def is_port_in_use(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
