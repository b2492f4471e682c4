"""Processes of a benchmark, in sessions of their own, and the CPU time of process trees.

Times are read from /proc, so on Linux only.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType

TICKS = os.sysconf("SC_CLK_TCK")  # a second
STOP_TIMEOUT_SECONDS = 15
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextmanager
def running(
    command: Sequence[str], log: Path, environ: Mapping[str, str] | None = None
) -> Iterator[int]:
    """Run `command`, which writes to `log`; yield its process id and stop it after the block."""
    with log.open("ab") as output:
        process = subprocess.Popen(
            command,
            env={**os.environ, **(environ or {})},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    try:
        yield process.pid
    finally:
        _stop(process)


def _stop(process: subprocess.Popen[bytes]) -> None:
    """Terminate the process, wait, then kill what is left of its session."""
    with suppress(ProcessLookupError):
        process.terminate()
    with suppress(subprocess.TimeoutExpired):
        process.wait(STOP_TIMEOUT_SECONDS)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def unwind_on_signals() -> None:
    """Let the first signal end the program through every `finally`; ignore later ones."""

    def leave(number: int, _frame: FrameType | None) -> None:
        for each in SIGNALS:
            signal.signal(each, signal.SIG_IGN)
        raise SystemExit(128 + number)

    for number in SIGNALS:
        signal.signal(number, leave)


def free_ports(count: int) -> list[int]:
    """Return different ports."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def cpu_seconds(root: int) -> float:
    """Return the CPU time of `root` and its descendants, including those that have ended."""
    families: dict[int, list[int]] = {}
    used: dict[int, float] = {}
    for file in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            pid, (parent, seconds) = int(file.parent.name), _stat(file)
            families.setdefault(parent, []).append(pid)
            used[pid] = seconds
    return sum(used.get(pid, 0.0) for pid in _descendants(root, families))


def busy_seconds() -> float:
    """Return the CPU time of the whole machine, including what its host has taken."""
    fields = Path("/proc/stat").read_text().split()[1:9]
    user, nice, system, _idle, _waiting, interrupts, soft_interrupts, stolen = map(int, fields)
    return (user + nice + system + interrupts + soft_interrupts + stolen) / TICKS


def postmaster(backend: int) -> int | None:
    """Return the parent of a PostgreSQL backend, or None if it is not on this machine."""
    try:
        name = Path(f"/proc/{backend}/comm").read_text().strip()
    except FileNotFoundError:
        return None
    parent, _ = _stat(Path(f"/proc/{backend}/stat"))
    return parent if name == "postgres" else None


def _stat(file: Path) -> tuple[int, float]:
    """Return the parent, and the CPU time of the process and of its ended children."""
    fields = file.read_text().rpartition(")")[2].split()
    return int(fields[1]), sum(map(int, fields[11:15])) / TICKS


def _descendants(root: int, families: Mapping[int, Sequence[int]]) -> Iterator[int]:
    pending = [root]
    while pending:
        pid = pending.pop()
        yield pid
        pending += families.get(pid, ())
