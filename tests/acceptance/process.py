"""A server under test, in a process group of its own.

Its output goes to a file, so that the process never blocks and the output can be read after a kill.
Whatever a test does, `end` leaves no process of the group behind.
"""

from __future__ import annotations

import os
import random
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import httpx
from saga_orchestrator.tests.support.waiting import TIME_LIMIT, wait_until

ROOT = Path(__file__).parents[2]
SAGA_COMMAND = (str(Path(sys.executable).with_name("saga")),)
PORTS = range(23_000, 32_000)
SETTINGS = ("SAGA_", "SERVICE_PORT", "DATABASE_URL")


def http_client(url: str) -> httpx.Client:
    # Everything is plain HTTP here, and loading certificates takes time.
    return httpx.Client(base_url=url, trust_env=False, verify=False, timeout=60)


def free_port() -> int:
    """Return a port outside of the ephemeral range: a connection could take one of those before a
    killed process is started again."""
    while True:
        port = random.choice(PORTS)
        with suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port


def clean_environ(**settings: str) -> dict[str, str]:
    """Return the environment of this process with `settings` instead of those of a service."""
    kept = {name: value for name, value in os.environ.items() if not is_setting(name)}
    return {**kept, **settings}


def is_setting(name: str) -> bool:
    return name.startswith(SETTINGS) or name.endswith("_SERVICE_URL")


def run_to_end(
    *arguments: str, within: timedelta = TIME_LIMIT, **settings: str
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end and return its output."""
    return subprocess.run(
        arguments,
        cwd=ROOT,
        env=clean_environ(**settings),
        capture_output=True,
        text=True,
        check=False,
        timeout=within.total_seconds(),
    )


@dataclass(slots=True)
class ServerProcess:
    """A process that serves at `url`; it is ready when `/health` is 200."""

    arguments: Sequence[str]
    url: str
    environ: Mapping[str, str]
    log: Path
    process: subprocess.Popen[bytes] | None = field(init=False, default=None)

    def start(self) -> None:
        """Launch the process and wait until it is healthy."""
        self.launch()
        self.await_health()

    def launch(self) -> None:
        """Start the process without waiting for it."""
        assert not self.is_alive, "one process at a time"
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self.arguments,
                cwd=ROOT,
                env=self.environ,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def await_health(self) -> None:
        wait_until(self.is_healthy, f"{self.url} is healthy")

    def is_healthy(self) -> bool:
        assert self.is_alive, f"{self.url} ended:\n{self.log.read_text()[-2000:]}"
        with suppress(httpx.TransportError), http_client(self.url) as web:
            return web.get("/health").status_code == httpx.codes.OK
        return False

    @property
    def is_alive(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def kill(self) -> None:
        """Kill the process, and only it, as a crash would; return when it is gone."""
        self._signal(signal.SIGKILL)
        self.wait()

    def terminate(self) -> None:
        """Ask the process to stop; `wait` returns its exit code."""
        self._signal(signal.SIGTERM)

    def freeze(self) -> None:
        """Stop the process until `thaw`, without its knowing."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._signal(signal.SIGCONT)

    def wait(self, within: timedelta = TIME_LIMIT) -> int:
        assert self.process is not None
        return self.process.wait(within.total_seconds())

    def end(self) -> None:
        """Terminate the process, so that it can end its children; then kill what is left."""
        if self.process is None:
            return
        with suppress(ProcessLookupError, subprocess.TimeoutExpired):
            self._signal(signal.SIGTERM)
            self.wait(timedelta(seconds=12))
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def _signal(self, number: signal.Signals) -> None:
        assert self.process is not None
        self.process.send_signal(number)


def participant_process(module: str, data: Path) -> ServerProcess:
    """Return a demo participant on a free port, with durable state in `data`."""
    port = free_port()
    name = f"saga_orchestrator.examples.{module}"
    arguments = (sys.executable, "-m", name, "--port", str(port), "--data", str(data))
    return ServerProcess(
        arguments, f"http://127.0.0.1:{port}", clean_environ(), data / f"{module}.log"
    )
