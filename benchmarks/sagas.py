"""Measure the whole service: sagas per second, their latency, and CPU time.

    python benchmarks/sagas.py [--seconds N] [--connections 1,16,64] [--ways forward,declined]
                               [--rounds N] [--processes N] [--json FILE]

Everything is on this machine: PostgreSQL (an embedded one with durable settings, or the one of
BENCH_DATABASE_URL), the participants, the load, and the service in a process of its own. The saga
is the three-step order; `declined` refuses the payment, so the order is cancelled. All sagas have
come to rest before CPU time and calls are counted, so a figure is that of whole sagas. Linux only.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import psycopg
from saga_orchestrator.benchmarks.figures import HEAD, Figures, medians, row
from saga_orchestrator.benchmarks.load import ENDS, WrongAnswer, generator, load
from saga_orchestrator.benchmarks.participants import Participants, answers_within, participants
from saga_orchestrator.benchmarks.processes import (
    busy_seconds,
    cpu_seconds,
    free_ports,
    postmaster,
    running,
    unwind_on_signals,
)
from saga_orchestrator.eventstore.embedded import embedded_server

ROOT = Path(__file__).parent.parent
START_SECONDS = 60
REST_SECONDS = 60
WARM_UP_SECONDS, WARM_UP_CONNECTIONS = 3, 64
PROJECTED = 0.3  # seconds; the last saga is in the status table after that
COUNT = b"select count(*), count(*) filter (where not rests) from saga_status"


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """The resources used so far."""

    service: float
    postgres: float | None
    others: float
    requests: int
    sagas: int
    at: float


class Stage:
    """Everything but the service, which is started anew for each way a saga can go."""

    def __init__(
        self, folder: Path, database_url: str, playing: Participants, processes: int
    ) -> None:
        self.folder, self.database_url, self.playing = folder, database_url, playing
        self.processes = processes
        self._connection = psycopg.connect(database_url, autocommit=True)
        self._postmaster = postmaster(self._connection.info.backend_pid)

    def close(self) -> None:
        self._connection.close()

    @contextmanager
    def service(self, way: str) -> Iterator[tuple[str, int]]:
        """Its URL and its process id."""
        (port,) = free_ports(1)
        environ = {
            "DATABASE_URL": self.database_url,
            "SERVICE_PORT": str(port),
            "ORDER_SERVICE_URL": self.playing.orders,
            "PAYMENT_SERVICE_URL": self.playing.payments[way],
        }
        url = f"http://127.0.0.1:{port}"
        command = _command(port, self.processes)
        with running(command, self.folder / "service.log", environ) as pid:
            answers_within(f"{url}/readyz", START_SECONDS)
            yield url, pid

    def measure(self, way: str, connections: int, seconds: int, at: tuple[str, int]) -> Figures:
        url, pid = at
        before = self._usage(pid)
        answered = load(url, way, connections, seconds, self.folder)
        after = self._usage(pid)
        sagas = after.sagas - before.sagas
        return Figures(
            way=way,
            connections=connections,
            sagas_per_s=answered.sagas / answered.seconds,
            p50_ms=answered.p50_ms,
            p99_ms=answered.p99_ms,
            service_ms=(after.service - before.service) / sagas * 1000,
            postgres_ms=_spent(before.postgres, after.postgres, sagas),
            calls=(after.requests - before.requests - 1) / sagas,
            other_cores=(after.others - before.others) / (after.at - before.at),
        )

    def _usage(self, pid: int) -> Usage:
        """Return the usage once no saga is in progress: the sums first, so that counting rows is
        not in them."""
        sagas = self._resting_sagas()
        postgres = cpu_seconds(self._postmaster) if self._postmaster else None
        return Usage(
            service=cpu_seconds(pid),
            postgres=postgres,
            others=busy_seconds() - cpu_seconds(os.getpid()) - (postgres or 0),
            requests=self.playing.requests(),
            sagas=sagas,
            at=time.monotonic(),
        )

    def _resting_sagas(self) -> int:
        end = time.monotonic() + REST_SECONDS
        while time.monotonic() < end:
            time.sleep(PROJECTED)
            ((sagas, under_way),) = self._connection.execute(COUNT).fetchall()
            if under_way == 0:
                return int(sagas)
        raise WrongAnswer(f"{under_way} sagas do not rest after {REST_SECONDS} s")


def _spent(before: float | None, after: float | None, sagas: int) -> float | None:
    return None if before is None or after is None else (after - before) / sagas * 1000


def _command(port: int, processes: int) -> list[str]:
    """Return the command of the service: one process, or several behind one port, each of which is
    a node."""
    if processes == 1:
        return [sys.executable, "-m", "saga_orchestrator.cli", "serve"]
    serve = f"-m uvicorn server:app --app-dir {ROOT} --port {port} --workers {processes}"
    return [sys.executable, *serve.split(), "--no-access-log", "--log-level", "warning"]


@contextmanager
def stage(processes: int) -> Iterator[Stage]:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="saga-bench-")))
        database_url = os.environ.get("BENCH_DATABASE_URL")
        if not database_url:
            database_url = stack.enter_context(embedded_server(folder / "postgresql")).url
        playing = stack.enter_context(participants(folder))
        ready = Stage(folder, database_url, playing, processes)
        stack.callback(ready.close)
        yield ready


def measure_all(ready: Stage, options: argparse.Namespace) -> Iterator[Figures]:
    for way in options.ways * options.rounds:
        with ready.service(way) as at:
            load(at[0], way, WARM_UP_CONNECTIONS, WARM_UP_SECONDS, ready.folder)
            for connections in options.connections:
                yield ready.measure(way, connections, options.seconds, at)


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    def numbers(text: str) -> list[int]:
        return [int(part) for part in text.split(",")]

    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seconds", type=int, default=5, help="a cell (default 5)")
    parser.add_argument("--connections", type=numbers, default=[1, 16, 64], metavar="1,16,64")
    parser.add_argument("--ways", type=lambda text: text.split(","), default=list(ENDS))
    parser.add_argument("--rounds", type=int, default=1, help="the table shows the medians")
    parser.add_argument("--processes", type=int, default=1, help="nodes behind one port")
    parser.add_argument("--json", type=Path, metavar="FILE", help="the figures of every round")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> int:
    options = parse(arguments)
    unwind_on_signals()
    results: list[Figures] = []
    with stage(options.processes) as ready:
        print(f"load: {generator()}, participants: {ready.playing.kind}", file=sys.stderr)
        try:
            for one in measure_all(ready, options):
                print(row(one), file=sys.stderr, flush=True)
                results.append(one)
        except WrongAnswer as error:
            print(f"refused: {error}", file=sys.stderr)
            return 1
    print(f"{os.cpu_count()} cores, Python {platform.python_version()}", HEAD, sep="\n")
    print(*map(row, medians(results)), sep="\n")
    if options.json:
        options.json.write_text(json.dumps([asdict(one) for one in results], indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
