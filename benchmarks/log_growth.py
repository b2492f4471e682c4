"""Measure what a long log costs: appends and reads, beside an empty log.

    python benchmarks/log_growth.py [--sizes 1000,100000,1000000] [--pairs 5] [--json FILE]
    python benchmarks/log_growth.py --sizes 1000,100000,10000000        # ten minutes, 6 GB of disk

Two databases on one embedded server: one stays almost empty, the other is filled to each size with
three-step orders that completed. Both are measured in turns; shown are the medians, and that of the
ratios of the pairs. Linux only.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import psycopg
import uvloop
from saga_orchestrator.benchmarks.append import Stage, prepared, stage
from saga_orchestrator.benchmarks.bulk_load_log import fill
from saga_orchestrator.benchmarks.processes import cpu_seconds
from saga_orchestrator.benchmarks.recorded_sagas import order_definition
from saga_orchestrator.eventstore.embedded import embedded_server
from saga_orchestrator.eventstore.event import SHARD_COUNT, StreamId
from saga_orchestrator.fsm.formats.strict_json import serialize
from saga_orchestrator.projections.status import status_view

APPENDERS = 16
SAGAS = 1_500  # appended in a turn
READS = 3_000  # in a turn
EVENTS_A_SAGA = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """The figures of a turn. A status is read from the log, folded and made JSON: that of a saga of
    this turn (`new`), or of any in the log, which may not have been read since it ended."""

    append_p50_ms: float
    append_service_us: float
    append_postgres_us: float
    status_new_p50_ms: float
    status_new_postgres_us: float
    status_any_p50_ms: float
    status_any_postgres_us: float


class Grown:
    """A log, the streams in it, and how many events it has."""

    def __init__(self, url: str) -> None:
        self.url, self.names, self.events = url, list[StreamId](), 0

    async def fill(self, size: int) -> None:
        streams = max(0, size - self.events) // EVENTS_A_SAGA
        self.names += await fill(self.url, streams)
        self.events += streams * EVENTS_A_SAGA

    async def turn(self) -> Figures:
        sagas = prepared(SAGAS)
        async with stage(self.url, projecting=False) as ready:
            appended = await ready.measure(APPENDERS, sagas)
            new = [StreamId(life[0].saga.state.saga_id) for life in sagas]
            self.names += new
            self.events += len(sagas) * EVENTS_A_SAGA + SHARD_COUNT
            await ready.journal.registry.register(order_definition())
            of_new = await _read_statuses(ready, random.choices(new, k=READS))
            of_any = await _read_statuses(ready, random.choices(self.names, k=READS))
        return Figures(
            append_p50_ms=appended.p50_ms,
            append_service_us=appended.service_us,
            append_postgres_us=appended.postgres_us,
            status_new_p50_ms=of_new[0],
            status_new_postgres_us=of_new[1],
            status_any_p50_ms=of_any[0],
            status_any_postgres_us=of_any[1],
        )


async def _read_statuses(ready: Stage, names: Sequence[StreamId]) -> tuple[float, float]:
    """Return the median time of a read in ms, and the CPU time of PostgreSQL for it in us."""
    waits = []
    postgres = cpu_seconds(ready.postmaster)
    for name in names:
        began = time.perf_counter()
        serialize(status_view(await ready.journal.load(name)))
        waits.append(time.perf_counter() - began)
    spent = cpu_seconds(ready.postmaster) - postgres
    return median(waits) * 1e3, spent / len(names) * 1e6


async def measure(empty: Grown, grown: Grown, pairs: int) -> dict[str, float]:
    await grown.turn()  # warm the caches up
    turns = [(await empty.turn(), await grown.turn()) for _ in range(pairs)]
    figures: dict[str, float] = {}
    for name in Figures.__slots__:
        values = [
            (getattr(empty_turn, name), getattr(grown_turn, name))
            for empty_turn, grown_turn in turns
        ]
        figures[f"{name}_empty"] = median(empty_value for empty_value, _ in values)
        figures[name] = median(other for _, other in values)
        figures[f"{name}_ratio"] = median(after / before for before, after in values)
    return figures


async def main(empty: Grown, grown: Grown, options: argparse.Namespace) -> list[dict[str, float]]:
    rows = []
    await empty.turn()
    await grown.turn()
    for size in options.sizes:
        began = time.monotonic()
        await grown.fill(size)
        print(f"{grown.events:,} events after {time.monotonic() - began:.0f} s", file=sys.stderr)
        row = {"events": grown.events} | await measure(empty, grown, options.pairs)
        print(*_lines(row), sep="\n", flush=True)
        rows.append(row)
    return rows


def _lines(row: dict[str, float]) -> list[str]:
    return [
        f"{row['events']:>12,} events  {name:<20} {row[f'{name}_empty']:>8.2f} ->"
        f" {row[name]:>8.2f}   ratio {row[f'{name}_ratio']:.2f}"
        for name in Figures.__slots__
    ]


def _database(url: str, name: str) -> str:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"create database {name}".encode())
    return url.replace("/postgres?", f"/{name}?")


def parse() -> argparse.Namespace:
    def numbers(text: str) -> list[int]:
        return [int(part) for part in text.split(",")]

    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n\n")[0])
    parser.add_argument("--sizes", type=numbers, default=[1_000, 100_000, 1_000_000])
    parser.add_argument("--pairs", type=int, default=5, help="of turns at each size")
    parser.add_argument("--json", type=Path, metavar="FILE")
    return parser.parse_args()


if __name__ == "__main__":
    arguments = parse()
    with tempfile.TemporaryDirectory() as folder, embedded_server(Path(folder)) as server:
        empty, grown = (Grown(_database(server.url, name)) for name in ("empty", "grown"))
        measured = uvloop.run(main(empty, grown, arguments))
    if arguments.json:
        arguments.json.write_text(json.dumps(measured, indent=1) + "\n")
