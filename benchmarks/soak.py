"""Measure whether memory is bounded by the sagas in flight, however many there have been.

    python benchmarks/soak.py [--sagas 200000] [--warm-up 10000] [--json FILE]

A service of its own and everything around it, as in `sagas.py`. Sagas of all sorts are started
(workload_mix.py): most complete, a fifth is declined and compensated, some sleep, wait for a
signal, a callback or a child, some have a callback URL; lists and single sagas are read meanwhile.
After the warm-up and after each 20,000 all of them rest, and the resident memory of the service is
taken; in between it is sampled. The exit code is 1 if it is in the end more than a tenth above that
after the warm-up, or if a response was wrong. Linux only.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import ExitStack, asynccontextmanager, contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path

import psycopg
import uvloop
from saga_orchestrator.benchmarks.callback_participant import CallbackParticipant
from saga_orchestrator.benchmarks.load import WrongAnswer
from saga_orchestrator.benchmarks.participants import answers_within, participants
from saga_orchestrator.benchmarks.processes import free_ports, running, unwind_on_signals
from saga_orchestrator.benchmarks.workload_mix import CONCURRENT_CLIENTS, Workload
from saga_orchestrator.eventstore.embedded import embedded_server
from saga_orchestrator.http.participants.client import ParticipantsClient
from saga_orchestrator.http.participants.pool import TransportLimits
from saga_orchestrator.http.participants.transport import ParticipantTransport

LAP = 20_000  # sagas, after which all of them rest
MAX_GROWTH = 1.10
SAMPLE_SECONDS = 2.0
START_SECONDS, REST_SECONDS = 60, 120
SETTLE_SECONDS = 2.0  # until projector, connections and garbage collector have nothing left to do
POLL_SECONDS = 0.3
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
ENDS = b"select status, count(*) from saga_status group by status"
BARS = "▁▂▃▄▅▆▇█"
LINE = 72  # bars in it


@dataclass(frozen=True, slots=True, kw_only=True)
class Lap:
    """`sagas` were started since the warm-up; `mb` is at rest, `peak_mb` in between."""

    sagas: int
    mb: float
    peak_mb: float
    sagas_per_s: float


@dataclass(slots=True)
class Memory:
    """Resident memory of a process, in MB."""

    pid: int
    samples: list[float] = field(default_factory=list)

    def sample_now(self) -> float:
        pages = Path(f"/proc/{self.pid}/statm").read_text().split()[1]
        self.samples.append(int(pages) * PAGE_BYTES / 2**20)
        return self.samples[-1]

    @asynccontextmanager
    async def sampled(self) -> AsyncIterator[None]:
        async def sample() -> None:
            while True:
                self.sample_now()
                await asyncio.sleep(SAMPLE_SECONDS)

        task = asyncio.create_task(sample())
        try:
            yield
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task


@dataclass(frozen=True, slots=True)
class Setup:
    """The service at `url`, and the port for the participant that calls back."""

    url: str
    memory: Memory
    callback_port: int
    database: psycopg.Connection

    def ends(self) -> Mapping[str, int]:
        return dict(self.database.execute(ENDS).fetchall())


@contextmanager
def setup() -> Iterator[Setup]:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="saga-soak-")))
        server = stack.enter_context(embedded_server(folder / "postgresql"))
        playing = stack.enter_context(participants(folder))
        port, callback_port = free_ports(2)
        environ = {
            "DATABASE_URL": server.url,
            "SERVICE_PORT": str(port),
            "ORDER_SERVICE_URL": playing.orders,
            "PAYMENT_SERVICE_URL": playing.payments["forward"],
            "DECLINING_SERVICE_URL": playing.payments["declined"],
            "CALLBACK_SERVICE_URL": f"http://127.0.0.1:{callback_port}",
            "SAGA_CALLBACK_LOOPBACK": "true",
            "SAGA_LOG_LEVEL": "warning",
        }
        command = [sys.executable, "-m", "saga_orchestrator.cli", "serve"]
        pid = stack.enter_context(running(command, folder / "service.log", environ))
        url = f"http://127.0.0.1:{port}"
        answers_within(f"{url}/readyz", START_SECONDS)
        database = stack.enter_context(psycopg.connect(server.url, autocommit=True))
        yield Setup(url, Memory(pid), callback_port, database)


async def soak(ready: Setup, sagas: int, warm_up: int) -> list[Lap]:
    """Run laps, of which the first is the warm-up. Raises WrongAnswer."""
    limits = TransportLimits(connections_per_origin=CONCURRENT_CLIENTS * 2)
    transport = ParticipantTransport(limits)
    workload = Workload(
        ParticipantsClient({"service": ready.url}, transport),
        f"http://127.0.0.1:{ready.callback_port}/webhook",
    )
    callbacks, laps = CallbackParticipant(workload.call_back), list[Lap]()
    async with callbacks.serving(ready.callback_port), ready.memory.sampled():
        await workload.register()
        for numbers in laps_of(warm_up, sagas):
            one = await _lap(ready, workload, callbacks, numbers)
            laps.append(Lap(sagas=numbers.stop - warm_up, **one))
            print(row(laps[-1], laps[0]), file=sys.stderr, flush=True)
    await transport.aclose()
    return laps


def laps_of(warm_up: int, sagas: int) -> Iterator[range]:
    yield range(warm_up)
    for first in range(warm_up, warm_up + sagas, LAP):
        yield range(first, min(first + LAP, warm_up + sagas))


async def _lap(
    ready: Setup, workload: Workload, callbacks: CallbackParticipant, numbers: range
) -> dict[str, float]:
    began, seen = time.monotonic(), len(ready.memory.samples)
    await workload.run(numbers)
    seconds = time.monotonic() - began
    await _rest(ready, workload, callbacks)
    at_rest = ready.memory.sample_now()
    return {
        "mb": at_rest,
        "peak_mb": max(ready.memory.samples[seen:]),
        "sagas_per_s": len(numbers) / seconds,
    }


async def _rest(ready: Setup, workload: Workload, callbacks: CallbackParticipant) -> None:
    """Wait until every started saga has its expected final status."""
    end = time.monotonic() + REST_SECONDS
    while ready.ends() != workload.expected or callbacks.webhooks < workload.webhooks:
        if time.monotonic() > end:
            raise WrongAnswer(f"{ready.ends()} instead of {dict(workload.expected)}")
        await asyncio.sleep(POLL_SECONDS)
    await asyncio.sleep(SETTLE_SECONDS)


HEAD = f"{'sagas':>9} {'MB at rest':>11} {'growth':>8} {'peak MB':>8} {'sagas/s':>8}"


def row(one: Lap, first: Lap) -> str:
    growth = one.mb / first.mb - 1
    memory = f"{one.mb:>11.1f} {growth:>8.1%} {one.peak_mb:>8.1f}"
    return f"{one.sagas:>9,} {memory} {one.sagas_per_s:>8.0f}"


def line(samples: Sequence[float]) -> str:
    """Return a chart of the samples; each bar is the highest of its share of them."""
    share = -(-len(samples) // LINE)
    highest = [max(samples[at : at + share]) for at in range(0, len(samples), share)]
    foot, top = min(highest), max(highest)
    bars = (BARS[round((one - foot) / (top - foot or 1) * (len(BARS) - 1))] for one in highest)
    return f"{foot:.0f} MB {''.join(bars)} {top:.0f} MB"


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--sagas", type=int, default=200_000, help="after the warm-up")
    parser.add_argument("--warm-up", type=int, default=10_000, metavar="SAGAS")
    parser.add_argument("--json", type=Path, metavar="FILE", help="one row for each 20,000")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> int:
    options = parse(arguments)
    unwind_on_signals()
    laps: list[Lap] = []
    with setup() as ready:
        try:
            laps = uvloop.run(soak(ready, options.sagas, options.warm_up))
        except* WrongAnswer as wrong:
            print(f"refused: {wrong.exceptions[0]}", file=sys.stderr)
    if not laps:
        return 1
    start, end, peak = laps[0].mb, laps[-1].mb, max(one.peak_mb for one in laps)
    ratio = end / start
    print(f"{os.cpu_count()} cores, Python {platform.python_version()}", HEAD, sep="\n")
    print(*(row(one, laps[0]) for one in laps), sep="\n")
    print(line(ready.memory.samples))
    print(f"start {start:.1f} MB, peak {peak:.1f} MB, end {end:.1f} MB, ratio {ratio:.3f}")
    if options.json:
        options.json.write_text(json.dumps([asdict(one) for one in laps], indent=1) + "\n")
    return int(ratio > MAX_GROWTH)


if __name__ == "__main__":
    sys.exit(main())
