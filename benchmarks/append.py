"""How many appends a second the log takes, and how long one waits.

    python benchmarks/append.py [seconds per run] [--profile]

Each appender works on streams of its own: 10 appends of 2 events, then the next stream, as the
callers of the log do. The server is an embedded one with durable settings, so the figures include
the real flush to disk.
"""

from __future__ import annotations

import argparse
import asyncio
import cProfile
import pstats
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from statistics import quantiles

import uvloop
from saga_orchestrator.eventstore import (
    MIGRATIONS,
    SHARDS,
    NewEvent,
    PostgresLog,
    StreamId,
    embedded_server,
    migrate,
)

APPENDERS = (1, 16, 64)
APPENDS_A_STREAM = 10
PAYLOAD = b'{"attempt":1,"body":{"amount":1250,"currency":"EUR","order_id":"o-4711"},"name":"a"}'


@dataclass
class Measurement:
    appenders: int
    events_an_append: int = 2
    waits_ms: list[float] = field(default_factory=list)
    seconds: float = 0.0

    def line(self) -> str:
        appends = len(self.waits_ms) / self.seconds
        cuts = quantiles(self.waits_ms, n=100)
        return (
            f"{self.appenders:>3} appenders  {appends * self.events_an_append:>8,.0f} events/s"
            f"  {appends:>8,.0f} appends/s  p50 {cuts[49]:6.2f} ms  p99 {cuts[98]:6.2f} ms"
        )


def stream_names(run: int, appender: int) -> Iterator[StreamId]:
    number = 0
    while True:
        number += 1
        shard = (appender * 31 + number) % SHARDS
        yield StreamId(f"{run:08x}-{appender:04x}-7000-8000-{number:010x}{shard:02x}")


async def work(
    log: PostgresLog, measurement: Measurement, names: Iterator[StreamId], end: float
) -> None:
    now = datetime.now(UTC)
    event = NewEvent(type="Happened", schema_version=1, recorded_at=now, payload=PAYLOAD)
    events = [event] * measurement.events_an_append
    for stream_id in names:
        version = 0
        for _ in range(APPENDS_A_STREAM):
            start = time.perf_counter()
            version = (await log.append(stream_id, version, events))[-1].version
            measurement.waits_ms.append((time.perf_counter() - start) * 1_000)
        if time.perf_counter() > end:
            return


async def measure(log: PostgresLog, run: int, appenders: int, seconds: float) -> Measurement:
    measurement = Measurement(appenders)
    start = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for appender in range(appenders):
            names = stream_names(run, appender)
            group.create_task(work(log, measurement, names, start + seconds))
    measurement.seconds = time.perf_counter() - start
    return measurement


async def main(database_url: str, seconds: float, *, profile: bool) -> None:
    await migrate(database_url, [("eventstore", MIGRATIONS)])
    log = PostgresLog(database_url)
    await log.claim(range(SHARDS), recorded_at=datetime.now(UTC))
    await measure(log, 1, 16, min(seconds, 1.0))  # warms the caches up
    for run, appenders in enumerate(APPENDERS, start=2):
        cpu = time.process_time()
        measurement = await measure(log, run, appenders, seconds)
        share = (time.process_time() - cpu) / measurement.seconds
        print(f"{measurement.line()}  python {share:4.0%} of a core")
    if profile:
        await print_profile(log, seconds)
    await log.close()


async def print_profile(log: PostgresLog, seconds: float) -> None:
    profiler = cProfile.Profile()
    profiler.enable()
    await measure(log, 99, APPENDERS[-1], seconds)
    profiler.disable()
    pstats.Stats(profiler).sort_stats("tottime").print_stats(20)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("seconds", nargs="?", type=float, default=5.0)
    parser.add_argument("--profile", action="store_true")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, embedded_server(Path(folder)) as server:
        uvloop.run(main(server.url, arguments.seconds, profile=arguments.profile))
