"""Measure how soon sagas go on after a kill -9: until shards are owned, until each saga moves.

    python benchmarks/recovery.py [--sagas 2500 10000 40000] [--busy]

For each size it starts a service of its own on an embedded PostgreSQL in a temporary folder, and
sagas in it whose first call gets no reply. The service is killed with -9 and started again, and
from then on participants answer at once. Times count from the start of the new process: when it has
claimed every shard, when it serves, when the call of the last saga has come again, when all sagas
rest. With `--busy` each size is measured once more while a loop keeps one core busy. The exit code
is 1 if a saga does not complete, or if the log of the new process has a warning. Linux only.
"""

from __future__ import annotations

import argparse
import asyncio
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any, cast

import httptools
import httpx
import psycopg
import uvloop
from saga_orchestrator.benchmarks.idle_sagas import (
    READY_TIMEOUT_SECONDS,
    Service,
    client_of,
    each,
    progress,
    running_service,
)
from saga_orchestrator.benchmarks.processes import free_ports
from saga_orchestrator.eventstore.embedded import PostgresDataDirectory
from saga_orchestrator.eventstore.event import SHARD_COUNT

# However long starting all of them takes, the first one is still being called when they are killed.
ORDER: dict[str, Any] = {
    "saga": "patient_order",
    "version": 1,
    "steps": [
        {
            "name": name,
            "participant": participant,
            "action": {"path": path, "timeout": "30m"},
            "effect": "none",
        }
        for name, participant, path in (
            ("create_order", "order-service", "/orders"),
            ("process_payment", "payment-service", "/payments"),
            ("confirm_order", "order-service", "/confirmations"),
        )
    ],
}
OWNED = b"select count(*) from event where type = 'ShardOwned' and epoch > 1"
RESTING = b"select count(*) from event where type = 'SagaCompleted'"
LOOK_SECONDS = 0.02


@dataclass(slots=True)
class Participants:
    """Participants that do not reply before `answering`, and note the first call of each saga."""

    answering: bool = False
    first_came: dict[str, float] = field(default_factory=dict)

    def came(self, saga_id: str) -> bool:
        """Note a call; return True if it is to be answered."""
        if self.answering:
            self.first_came.setdefault(saga_id, time.monotonic())
        return self.answering


class Conversation(asyncio.Protocol):
    def __init__(self, participants: Participants) -> None:
        self._participants, self._saga_id = participants, ""
        self._parser = httptools.HttpRequestParser(self)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_header(self, name: bytes, value: bytes) -> None:
        if name.lower() == b"saga-id":
            self._saga_id = value.decode()

    def on_message_complete(self) -> None:
        if self._participants.came(self._saga_id):
            body = b'{"order_id": 7, "payment_id": 8}'
            self._transport.write(
                b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(body) + body
            )


@contextmanager
def serving(participants: Participants) -> Iterator[str]:
    """Serve in a thread while the block runs; yield the base URL."""
    (port,) = free_ports(1)
    loop = uvloop.new_event_loop()

    async def listen() -> None:
        make = partial(Conversation, participants)
        await loop.create_server(make, "127.0.0.1", port, backlog=1024)

    loop.run_until_complete(listen())
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{port}"
    loop.call_soon_threadsafe(loop.stop)
    thread.join()


async def start_sagas(url: str, sagas: int) -> None:
    async with client_of(url) as client:
        (await client.put("/definitions/patient_order/1", json=ORDER)).raise_for_status()

    async def start(client: httpx.AsyncClient, number: int) -> None:
        headers = {"Prefer": "respond-async"}
        body = {"saga_type": "patient_order", "entity_id": number}
        (await client.post("/sagas/start", json=body, headers=headers)).raise_for_status()

    await each(url, range(sagas), start, "are in flight")


def until(database: psycopg.Connection, count: bytes, expected: int) -> float:
    """Return the time at which the count is reached, or at which the wait is given up."""
    end = time.monotonic() + READY_TIMEOUT_SECONDS
    while time.monotonic() < end:
        row = database.execute(count).fetchone()
        if row is not None and row[0] >= expected:
            break
        time.sleep(LOOK_SECONDS)
    return time.monotonic()


@contextmanager
def busy_core(expected: bool) -> Iterator[None]:
    """Keep one core busy with a loop, if asked to."""
    loop = subprocess.Popen([sys.executable, "-c", "while True: pass"]) if expected else None
    try:
        yield
    finally:
        if loop is not None:
            loop.kill()
            loop.wait()


@dataclass(frozen=True, slots=True)
class Measured:
    """Seconds from the restart until each stage."""

    owned: float
    serving: float
    moving: float
    resting: float


def measure(sagas: int, *, busy: bool) -> Measured:
    """Kill and restart a service with `sagas` in flight.

    Raises SystemExit if a saga does not complete, or the new process has logged trouble.
    """
    participants = Participants()
    with (
        serving(participants) as url,
        running_service(ORDER_SERVICE_URL=url, PAYMENT_SERVICE_URL=url) as node,
    ):
        node.ready()
        progress(f"the service is ready, {sagas:,} sagas are started")
        asyncio.run(start_sagas(node.url, sagas))
        with busy_core(busy):
            return restart(node, participants, sagas)


def restart(node: Service, participants: Participants, sagas: int) -> Measured:
    log = node.folder / "log"
    with (
        psycopg.connect(
            PostgresDataDirectory(node.folder / "data/postgresql").url, autocommit=True
        ) as database,
        log.open("wb") as stderr,
    ):
        node.kill()
        participants.answering = True
        began = time.monotonic()
        node.start(stderr)
        owned = until(database, OWNED, SHARD_COUNT)
        serves = began + node.ready()
        rest = until(database, RESTING, sagas)
        (completed,) = database.execute(RESTING).fetchone() or (0,)
    if not completed == sagas == len(participants.first_came):
        raise SystemExit(f"lost: {completed:,} of {sagas:,} sagas have completed")
    if trouble := log.read_text():
        raise SystemExit(f"trouble: {trouble[:2000]}")
    moved = max(participants.first_came.values(), default=began)
    return Measured(owned - began, serves - began, moved - began, rest - began)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sagas", type=int, nargs="+", default=[10_000])
    parser.add_argument("--busy", action="store_true", help="again, with one core kept busy")
    options = parser.parse_args()
    columns = ("all owned", "serving", "all moving", "all at rest")
    print(f"{'seconds from the restart':30}" + "".join(f"{name:>13}" for name in columns))
    for sagas in options.sagas:
        for busy in (False, True) if options.busy else (False,):
            measured = measure(sagas, busy=busy)
            what = f"{sagas:,} sagas{', one core busy' if busy else ''}"
            times = (measured.owned, measured.serving, measured.moving, measured.resting)
            print(f"{what:30}" + "".join(f"{seconds:13.2f}" for seconds in times), flush=True)


if __name__ == "__main__":
    main()
