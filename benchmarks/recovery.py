"""How soon sagas go on after a kill -9: until the shards are owned again, until each saga moves.

    python benchmarks/recovery.py [--sagas 10000]

Starts a service of its own on an embedded PostgreSQL in a temporary folder, and sagas in it whose
first call nobody answers. The service is killed with -9 and started again, and from then on
participants answer at once. Times count from the start of the new process: when it has claimed
every shard, when it serves, when the call of the last saga has come again, when all sagas rest. The
exit code is 1 if one of them does not complete. Linux only.
"""

from __future__ import annotations

import argparse
import asyncio
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import cast

import httptools
import httpx
import psycopg
import uvloop
from saga_orchestrator.benchmarks.processes import free_ports
from saga_orchestrator.benchmarks.waiting import PATIENCE_SECONDS, Service, each, progress, service
from saga_orchestrator.eventstore import SHARDS
from saga_orchestrator.eventstore.cluster import Cluster

ORDER = {"saga_type": "order_processing", "step_data": [{}, {}, {}]}
OWNED = b"select count(*) from event where type = 'ShardOwned' and epoch > 1"
RESTING = b"select count(*) from event where type = 'SagaCompleted'"
LOOK_SECONDS = 0.02


@dataclass(slots=True)
class Participants:
    """They answer nobody until `answering`; then everybody, and remember when a saga came first."""

    answering: bool = False
    first_came: dict[str, float] = field(default_factory=dict)

    def came(self, saga_id: str) -> bool:
        """Whether to answer."""
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
    """Their base URL; they run beside everything else, in a thread."""
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
    async def start(client: httpx.AsyncClient, number: int) -> None:
        headers = {"Prefer": "respond-async"}
        body = {**ORDER, "entity_id": number}
        (await client.post("/sagas/start", json=body, headers=headers)).raise_for_status()

    await each(url, range(sagas), start, "are in flight")


def until(database: psycopg.Connection, count: bytes, wanted: int) -> float:
    """The moment at which that many are counted, or when it is given up."""
    end = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < end:
        row = database.execute(count).fetchone()
        if row is not None and row[0] >= wanted:
            break
        time.sleep(LOOK_SECONDS)
    return time.monotonic()


def measure(one: Service, participants: Participants, sagas: int) -> bool:
    """Whether every saga has completed."""
    asyncio.run(start_sagas(one.url, sagas))
    with psycopg.connect(Cluster(one.folder / "data/postgresql").url, autocommit=True) as database:
        one.kill()
        participants.answering = True
        began = time.monotonic()
        one.start()
        owned = until(database, OWNED, SHARDS)
        serves = began + one.ready()
        rest = until(database, RESTING, sagas)
        (completed,) = database.execute(RESTING).fetchone() or (0,)
    moved = max(participants.first_came.values(), default=began)
    print(f"{sagas:,} sagas in flight, {completed:,} completed; seconds from the restart:")
    for what, when in (
        ("every shard owned", owned),
        ("serving", serves),
        ("every saga moving", moved),
        ("every saga at rest", rest),
    ):
        print(f"  {what:20} {when - began:6.2f}")
    return bool(completed == sagas == len(participants.first_came))


def main() -> int:
    parser = argparse.ArgumentParser(description="How soon sagas go on after a kill -9.")
    parser.add_argument("--sagas", type=int, default=10_000)
    options = parser.parse_args()
    participants = Participants()
    with (
        serving(participants) as url,
        service(ORDER_SERVICE_URL=url, PAYMENT_SERVICE_URL=url) as one,
    ):
        one.ready()
        progress(f"the service is ready, {options.sagas:,} sagas are started")
        return 0 if measure(one, participants, options.sagas) else 1


if __name__ == "__main__":
    raise SystemExit(main())
