"""Processes of a benchmark: started in sessions of their own, stopped whatever happens, and the CPU
time that they and what they started have used (Linux: read from /proc)."""

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
PATIENCE_SECONDS = 15
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextmanager
def running(
    command: Sequence[str], log: Path, environ: Mapping[str, str] | None = None
) -> Iterator[int]:
    """The process id of `command`, which writes to `log`."""
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
    """Ask, wait, then force whatever is left of its session."""
    with suppress(ProcessLookupError):
        process.terminate()
    with suppress(subprocess.TimeoutExpired):
        process.wait(PATIENCE_SECONDS)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def unwind_on_signals() -> None:
    """The first signal ends the program in order, through every `finally`; later ones wait."""

    def leave(number: int, _frame: FrameType | None) -> None:
        for each in SIGNALS:
            signal.signal(each, signal.SIG_IGN)
        raise SystemExit(128 + number)

    for number in SIGNALS:
        signal.signal(number, leave)


def free_ports(count: int) -> list[int]:
    """Held all at once while they are drawn, so that no port comes twice."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


def cpu_seconds(root: int) -> float:
    """Of `root` and everything below it, those that have ended included."""
    families: dict[int, list[int]] = {}
    used: dict[int, float] = {}
    for file in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            pid, (parent, seconds) = int(file.parent.name), _stat(file)
            families.setdefault(parent, []).append(pid)
            used[pid] = seconds
    return sum(used.get(pid, 0.0) for pid in _below(root, families))


def busy_seconds() -> float:
    """Of the whole machine, and what its host took away from it."""
    fields = Path("/proc/stat").read_text().split()[1:9]
    user, nice, system, _idle, _waiting, interrupts, soft_interrupts, stolen = map(int, fields)
    return (user + nice + system + interrupts + soft_interrupts + stolen) / TICKS


def postmaster(backend: int) -> int | None:
    """The process that all others of a PostgreSQL on this machine come from."""
    try:
        name = Path(f"/proc/{backend}/comm").read_text().strip()
    except FileNotFoundError:
        return None
    parent, _ = _stat(Path(f"/proc/{backend}/stat"))
    return parent if name == "postgres" else None


def _stat(file: Path) -> tuple[int, float]:
    """The parent, and the seconds of the process and of its children that it has waited for."""
    fields = file.read_text().rpartition(")")[2].split()
    return int(fields[1]), sum(map(int, fields[11:15])) / TICKS


def _below(root: int, families: Mapping[int, Sequence[int]]) -> Iterator[int]:
    pending = [root]
    while pending:
        pid = pending.pop()
        yield pid
        pending += families.get(pid, ())
