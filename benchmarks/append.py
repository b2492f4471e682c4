"""Measure appends: how many a second the log takes, how long each waits, and the cost together with
the status table behind it.

    python benchmarks/append.py [--sagas N] [--appenders 1,16,48] [--rounds N] [--json FILE]
                                [--without-projector] [--profile]

The events are those of three-step orders, made beforehand: four appends of two events. Each
appender takes turns with five sagas, so that as many are under way as in a busy service; at 48
appenders a commit carries some 24 appends. The server is an embedded one with durable settings, so
the figures include the real flush to disk. Linux only.
"""

from __future__ import annotations

import argparse
import asyncio
import cProfile
import gc
import json
import pstats
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import median, quantiles

import psycopg
import uvloop
from saga_orchestrator.benchmarks.processes import cpu_seconds, postmaster
from saga_orchestrator.benchmarks.recorded_sagas import RecordedSaga, record_orders
from saga_orchestrator.eventstore.embedded import embedded_server
from saga_orchestrator.eventstore.event import SHARD_COUNT
from saga_orchestrator.eventstore.postgres.event_log import PostgresLog
from saga_orchestrator.eventstore.postgres.migrations import MIGRATIONS as EVENTSTORE
from saga_orchestrator.eventstore.postgres.migrations import migrate
from saga_orchestrator.fsm.runtime.clock import SystemClock
from saga_orchestrator.fsm.runtime.definition_registry import DefinitionRegistry
from saga_orchestrator.fsm.runtime.saga_repository import SagaRepository
from saga_orchestrator.projections import MIGRATIONS as PROJECTIONS
from saga_orchestrator.projections.projector import Projector
from saga_orchestrator.projections.status_table import StatusTable

ROOMS = (("eventstore", EVENTSTORE), ("projections", PROJECTIONS))
SAGAS_AT_ONCE = 5  # of an appender
APPENDS_A_SAGA = 4
WARM_UP = 500  # sagas
PROFILE_LINES = 25


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    appenders: int
    appends_per_s: float
    p50_ms: float
    p99_ms: float
    service_us: float
    postgres_us: float

    def line(self) -> str:
        return (
            f"{self.appenders:>3} appenders  {self.appends_per_s:>8,.0f} appends/s"
            f"  p50 {self.p50_ms:6.2f} ms  p99 {self.p99_ms:6.2f} ms"
            f"  service {self.service_us:6.1f} us/append  PostgreSQL {self.postgres_us:6.1f}"
            f"  (a saga {self.service_us * APPENDS_A_SAGA / 1000:.3f} and"
            f" {self.postgres_us * APPENDS_A_SAGA / 1000:.3f} ms)"
        )


class Stage:
    """The log and, unless it is left out, the status table behind it."""

    def __init__(
        self, journal: SagaRepository, projector: Projector | None, postmaster: int
    ) -> None:
        self.journal, self.projector, self.postmaster = journal, projector, postmaster

    async def measure(self, appenders: int, sagas: Sequence[RecordedSaga]) -> Figures:
        waits: list[float] = []
        supply = iter(sagas)
        service, postgres = time.process_time(), cpu_seconds(self.postmaster)
        began = time.perf_counter()
        async with asyncio.TaskGroup() as group:
            for _ in range(appenders):
                group.create_task(self._work(supply, waits))
        seconds = time.perf_counter() - began
        if self.projector:
            await self.projector.flush()
        service, postgres = time.process_time() - service, cpu_seconds(self.postmaster) - postgres
        cuts = quantiles(waits, n=100)
        return Figures(
            appenders=appenders,
            appends_per_s=len(waits) / seconds,
            p50_ms=cuts[49] * 1e3,
            p99_ms=cuts[98] * 1e3,
            service_us=service / len(waits) * 1e6,
            postgres_us=postgres / len(waits) * 1e6,
        )

    async def _work(self, supply: Iterator[RecordedSaga], waits: list[float]) -> None:
        while together := [life for _, life in zip(range(SAGAS_AT_ONCE), supply, strict=False)]:
            for turn in zip(*together, strict=True):
                for stage in turn:
                    began = time.perf_counter()
                    name = stage.saga.state.saga_id
                    recorded = await self.journal.append(
                        name, stage.version, stage.events, at=stage.saga.state.updated_at
                    )
                    waits.append(time.perf_counter() - began)
                    if self.projector:
                        self.projector.observe(stage.saga, recorded)


@asynccontextmanager
async def stage(database_url: str, *, projecting: bool) -> AsyncIterator[Stage]:
    await migrate(database_url, ROOMS)
    async with AsyncExitStack() as stack:
        log, tables = PostgresLog(database_url), StatusTable(database_url)
        stack.push_async_callback(log.close)
        stack.push_async_callback(tables.close)
        await log.claim(range(SHARD_COUNT), recorded_at=datetime.now(UTC))
        journal = SagaRepository(log, DefinitionRegistry(log, SystemClock()))
        projector = Projector(tables, log, journal.load_many)
        await projector.acquire_shards(range(SHARD_COUNT))
        running = asyncio.create_task(projector.run())
        yield Stage(journal, projector if projecting else None, _postmaster(database_url))
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running


def _postmaster(database_url: str) -> int:
    with psycopg.connect(database_url) as connection:
        process_id = postmaster(connection.info.backend_pid)
    assert process_id is not None, "the embedded server is on this machine"
    return process_id


async def main(database_url: str, options: argparse.Namespace) -> list[Figures]:
    results = []
    async with stage(database_url, projecting=not options.without_projector) as ready:
        await ready.measure(16, prepared(WARM_UP))
        for appenders in options.appenders * options.rounds:
            # A single appender waits for each of its appends, so fewer of them suffice.
            sagas = prepared(options.sagas if appenders > 1 else options.sagas // 10)
            results.append(await ready.measure(appenders, sagas))
            print(results[-1].line(), file=sys.stderr, flush=True)
        if options.profile:
            await _profile(ready, options)
    return results


def prepared(sagas: int) -> list[RecordedSaga]:
    made = record_orders(sagas, SHARD_COUNT, datetime.now(UTC))
    gc.collect()
    gc.freeze()  # as a started service does with what stays
    gc.set_threshold(20_000, 10, 20)
    return made


async def _profile(ready: Stage, options: argparse.Namespace) -> None:
    sagas = prepared(options.sagas)
    profiler = cProfile.Profile()
    profiler.enable()
    await ready.measure(options.appenders[-1], sagas)
    profiler.disable()
    pstats.Stats(profiler).sort_stats("tottime").print_stats(PROFILE_LINES)


def medians(results: Sequence[Figures]) -> Iterator[Figures]:
    """Return the medians over the rounds."""
    for appenders in dict.fromkeys(each.appenders for each in results):
        cell = [asdict(each) for each in results if each.appenders == appenders]
        middle = {name: median(each[name] for each in cell) for name in cell[0]}
        yield Figures(**middle | {"appenders": appenders})


def parse() -> argparse.Namespace:
    def numbers(text: str) -> list[int]:
        return [int(part) for part in text.split(",")]

    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n\n")[0])
    parser.add_argument("--sagas", type=int, default=5_000, help="a cell (default 5000)")
    parser.add_argument("--appenders", type=numbers, default=[1, 16, 48], metavar="1,16,48")
    parser.add_argument("--rounds", type=int, default=1, help="the table shows the medians")
    parser.add_argument("--json", type=Path, metavar="FILE", help="the medians")
    parser.add_argument("--without-projector", action="store_true")
    parser.add_argument("--profile", action="store_true")
    return parser.parse_args()


if __name__ == "__main__":
    arguments = parse()
    with tempfile.TemporaryDirectory() as folder, embedded_server(Path(folder)) as server:
        figures = list(medians(uvloop.run(main(server.url, arguments))))
    print(*(each.line() for each in figures), sep="\n")
    if arguments.json:
        arguments.json.write_text(json.dumps([asdict(each) for each in figures], indent=1) + "\n")
