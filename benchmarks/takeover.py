"""Measure how soon another node goes on with the sagas of a node killed with -9.

    python benchmarks/takeover.py [--sagas 200] [--rounds 7] [--json FILE]

Starts two nodes on an embedded PostgreSQL in a temporary folder, and sagas at one of them whose
first call gets no reply. That node is killed, and from then on participants answer at once. Times
count from the kill: when the first call of one of its sagas comes from the other node, when each of
them has come, when all are completed. The nodes change places from round to round. The exit code is
1 if a saga does not complete, or if the killed node had a shard left. Linux only.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from statistics import median

import psycopg
from saga_orchestrator.benchmarks.idle_sagas import Service, progress
from saga_orchestrator.benchmarks.processes import free_ports
from saga_orchestrator.benchmarks.recovery import RESTING, Participants, serving, start_sagas, until
from saga_orchestrator.eventstore.embedded import embedded_server
from saga_orchestrator.eventstore.event import SHARD_COUNT

NODES = 2
EVENLY = (
    b"select count(*) from (select from shard_owner group by node_id having count(*) = %d) as node"
    % (SHARD_COUNT // NODES)
)
OWNED = b"select count(*) from shard_owner group by node_id order by 1 desc limit 1"
STOPPED_WITHIN_SECONDS = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Takeover:
    """Seconds from the kill until each stage."""

    first_call_s: float
    every_saga_moving_s: float
    every_saga_at_rest_s: float


@dataclass(slots=True)
class Counting(Participants):
    """Participants that count the calls that got no reply."""

    in_vain: set[str] = field(default_factory=set)

    def came(self, saga_id: str) -> bool:
        if not self.answering:
            self.in_vain.add(saga_id)
        return Participants.came(self, saga_id)

    def fall_silent(self) -> None:
        self.answering = False
        self.in_vain.clear()
        self.first_came.clear()


@contextmanager
def nodes(database_url: str, participants_url: str, sagas: int) -> Iterator[list[Service]]:
    """Start two nodes, which need not be ready yet."""
    settings = {
        "DATABASE_URL": database_url,
        "ORDER_SERVICE_URL": participants_url,
        "PAYMENT_SERVICE_URL": participants_url,
        "SAGA_CALLS_PER_PARTICIPANT": str(sagas),  # that are in flight, all of them
    }
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="takeover-")))
        started = [Service(folder, port, **settings) for port in free_ports(NODES)]
        for node in started:
            stack.callback(stop, node)
        yield started


def stop(node: Service) -> None:
    node.process.terminate()
    node.process.wait(STOPPED_WITHIN_SECONDS)


def measure(
    database: psycopg.Connection, dying: Service, participants: Counting, sagas: int
) -> Takeover:
    """Kill the first node. Raises SystemExit if the other does not complete all sagas."""
    until(database, EVENLY, NODES)
    dying.ready()
    participants.fall_silent()
    (rested,) = database.execute(RESTING).fetchone() or (0,)
    asyncio.run(start_sagas(dying.url, sagas))
    while len(participants.in_vain) < sagas:
        time.sleep(0.01)
    killed = time.monotonic()
    dying.kill()
    participants.answering = True
    at_rest = until(database, RESTING, rested + sagas)
    (completed,) = database.execute(RESTING).fetchone() or (0,)
    (owned,) = database.execute(OWNED).fetchone() or (0,)
    came = participants.first_came.values()
    if not completed - rested == sagas == len(came) or owned != SHARD_COUNT:
        raise SystemExit(f"lost: only {completed - rested:,} of {sagas:,} sagas are completed")
    return Takeover(
        first_call_s=min(came) - killed,
        every_saga_moving_s=max(came) - killed,
        every_saga_at_rest_s=at_rest - killed,
    )


def rounds(options: argparse.Namespace) -> Iterator[Takeover]:
    participants = Counting()
    with (
        tempfile.TemporaryDirectory() as folder,
        embedded_server(Path(folder)) as server,
        serving(participants) as participants_url,
        nodes(server.url, participants_url, options.sagas) as both,
        psycopg.connect(server.url, autocommit=True) as database,
    ):
        for node in both:
            node.ready()
        for number in range(options.rounds):
            dying = both[number % NODES]
            yield measure(database, dying, participants, options.sagas)
            dying.start()
            dying.ready()


def show(results: Sequence[Takeover], sagas: int) -> None:
    print(f"{sagas:,} sagas in flight, {len(results)} rounds; seconds from the kill:")
    print(f"  {'':22} {'median':>7} {'worst':>7}")
    for figure in fields(Takeover):
        seconds = [getattr(result, figure.name) for result in results]
        name = figure.name.removesuffix("_s").replace("_", " ")
        print(f"  {name:22} {median(seconds):7.2f} {max(seconds):7.2f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n\n")[0])
    parser.add_argument("--sagas", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--json", type=Path, metavar="FILE", help="the figures of every round")
    options = parser.parse_args()
    results = []
    for takeover in rounds(options):
        results.append(takeover)
        progress(f"round {len(results)}: {takeover.first_call_s:.2f} s until the first call")
    show(results, options.sagas)
    if options.json:
        options.json.write_text(
            json.dumps([asdict(takeover) for takeover in results], indent=1) + "\n"
        )


if __name__ == "__main__":
    main()
