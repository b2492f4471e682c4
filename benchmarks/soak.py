"""Whether memory is bounded by the sagas in flight, however many have been.

    python benchmarks/soak.py [--sagas 200000] [--warm-up 10000] [--json FILE]

A service of its own and everything around it, as in `sagas.py`. Sagas of all sorts come (crowd.py):
most complete, a fifth is declined and compensated, some sleep, wait for a signal, for the callback
of a participant or for a child, some are to be told of; and in between somebody asks for lists and
single sagas. After the warm-up and after each 20,000 all of them rest, and the resident memory of
the service is taken then; in between it is sampled. The exit code is 1 if at the end it is more
than a tenth above what it was after the warm-up, or if an answer was wrong. Linux only.
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
from saga_orchestrator.benchmarks.callback_participant import Clerk
from saga_orchestrator.benchmarks.load import WrongAnswer
from saga_orchestrator.benchmarks.participants import answers_within, participants
from saga_orchestrator.benchmarks.processes import free_ports, running, unwind_on_signals
from saga_orchestrator.benchmarks.workload_mix import AT_ONCE, Crowd
from saga_orchestrator.eventstore.embedded import embedded_server
from saga_orchestrator.http.participants.client import ParticipantsClient
from saga_orchestrator.http.participants.pool import TransportLimits
from saga_orchestrator.http.participants.transport import ParticipantTransport

LAP = 20_000  # sagas, after which all of them rest
MOST_GROWTH = 1.10
SAMPLE_SECONDS = 2.0
START_SECONDS, REST_SECONDS = 60, 120
SETTLE_SECONDS = 2.0  # until projector, connections and garbage collector have nothing left to do
LOOK_SECONDS = 0.3
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
ENDS = b"select status, count(*) from saga_status group by status"
BARS = "▁▂▃▄▅▆▇█"
LINE = 72  # bars in it


@dataclass(frozen=True, slots=True, kw_only=True)
class Lap:
    """`sagas` have been since the warm-up; `mb` is at rest, and `peak_mb` under way."""

    sagas: int
    mb: float
    peak_mb: float
    sagas_per_s: float


@dataclass(slots=True)
class Memory:
    """Resident, of one process, in MB."""

    pid: int
    samples: list[float] = field(default_factory=list)

    def look(self) -> float:
        pages = Path(f"/proc/{self.pid}/statm").read_text().split()[1]
        self.samples.append(int(pages) * PAGE_BYTES / 2**20)
        return self.samples[-1]

    @asynccontextmanager
    async def sampled(self) -> AsyncIterator[None]:
        async def look_on() -> None:
            while True:
                self.look()
                await asyncio.sleep(SAMPLE_SECONDS)

        task = asyncio.create_task(look_on())
        try:
            yield
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task


@dataclass(frozen=True, slots=True)
class Stage:
    """What has been started: the service at `url`, and where the clerk must be."""

    url: str
    memory: Memory
    clerk_port: int
    database: psycopg.Connection

    def ends(self) -> Mapping[str, int]:
        return dict(self.database.execute(ENDS).fetchall())


@contextmanager
def stage() -> Iterator[Stage]:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="saga-soak-")))
        server = stack.enter_context(embedded_server(folder / "postgresql"))
        playing = stack.enter_context(participants(folder))
        port, clerk_port = free_ports(2)
        environ = {
            "DATABASE_URL": server.url,
            "SERVICE_PORT": str(port),
            "ORDER_SERVICE_URL": playing.orders,
            "PAYMENT_SERVICE_URL": playing.payments["forward"],
            "DECLINING_SERVICE_URL": playing.payments["declined"],
            "CLERK_SERVICE_URL": f"http://127.0.0.1:{clerk_port}",
            "SAGA_CALLBACK_LOOPBACK": "true",
            "SAGA_LOG_LEVEL": "warning",
        }
        command = [sys.executable, "-m", "saga_orchestrator.cli", "serve"]
        pid = stack.enter_context(running(command, folder / "service.log", environ))
        url = f"http://127.0.0.1:{port}"
        answers_within(f"{url}/readyz", START_SECONDS)
        database = stack.enter_context(psycopg.connect(server.url, autocommit=True))
        yield Stage(url, Memory(pid), clerk_port, database)


async def soak(ready: Stage, sagas: int, warm_up: int) -> list[Lap]:
    """The first lap is the warm-up. Raises WrongAnswer."""
    limits = TransportLimits(connections_per_origin=AT_ONCE * 2)
    transport = ParticipantTransport(limits)
    crowd = Crowd(
        ParticipantsClient({"service": ready.url}, transport),
        f"http://127.0.0.1:{ready.clerk_port}/told",
    )
    clerk, laps = Clerk(crowd.call_back), list[Lap]()
    async with clerk.serving(ready.clerk_port), ready.memory.sampled():
        await crowd.register()
        for numbers in laps_of(warm_up, sagas):
            one = await _lap(ready, crowd, clerk, numbers)
            laps.append(Lap(sagas=numbers.stop - warm_up, **one))
            print(row(laps[-1], laps[0]), file=sys.stderr, flush=True)
    await transport.aclose()
    return laps


def laps_of(warm_up: int, sagas: int) -> Iterator[range]:
    yield range(warm_up)
    for first in range(warm_up, warm_up + sagas, LAP):
        yield range(first, min(first + LAP, warm_up + sagas))


async def _lap(ready: Stage, crowd: Crowd, clerk: Clerk, numbers: range) -> dict[str, float]:
    began, seen = time.monotonic(), len(ready.memory.samples)
    await crowd.come(numbers)
    seconds = time.monotonic() - began
    await _rest(ready, crowd, clerk)
    at_rest = ready.memory.look()
    return {
        "mb": at_rest,
        "peak_mb": max(ready.memory.samples[seen:]),
        "sagas_per_s": len(numbers) / seconds,
    }


async def _rest(ready: Stage, crowd: Crowd, clerk: Clerk) -> None:
    """Until there are as many sagas as came, each where it should end, and nothing is under way."""
    end = time.monotonic() + REST_SECONDS
    while ready.ends() != crowd.came or clerk.told < crowd.told:
        if time.monotonic() > end:
            raise WrongAnswer(f"{ready.ends()} instead of {dict(crowd.came)}")
        await asyncio.sleep(LOOK_SECONDS)
    await asyncio.sleep(SETTLE_SECONDS)


HEAD = f"{'sagas':>9} {'MB at rest':>11} {'growth':>8} {'peak MB':>8} {'sagas/s':>8}"


def row(one: Lap, first: Lap) -> str:
    growth = one.mb / first.mb - 1
    memory = f"{one.mb:>11.1f} {growth:>8.1%} {one.peak_mb:>8.1f}"
    return f"{one.sagas:>9,} {memory} {one.sagas_per_s:>8.0f}"


def line(samples: Sequence[float]) -> str:
    """Each bar is the highest of its share of the samples."""
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
    with stage() as ready:
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
    return int(ratio > MOST_GROWTH)


if __name__ == "__main__":
    sys.exit(main())
