"""Several nodes, customers, and all that can go wrong; then: has every promise been kept?

make chaos                          three nodes, two minutes
make chaos SEED=7 SECONDS=30        the faults are a function of seed, seconds and nodes
"""

from __future__ import annotations

import argparse
import asyncio
import secrets
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from saga_orchestrator.tests.acceptance.doctor_run import DoctorReport
from saga_orchestrator.tests.chaos.checker import check, refused_callbacks
from saga_orchestrator.tests.chaos.clients import Clients
from saga_orchestrator.tests.chaos.deployment import ChaosDeployment, chaos_deployment
from saga_orchestrator.tests.chaos.fault_schedule import Fault, schedule
from saga_orchestrator.tests.chaos.nemesis import inject

REST_WITHIN = 150  # seconds; the wait before an attempt is a minute at most
UNDER_WAY = "under way"
BEGAN = time.monotonic()


def main() -> int:
    """1 if anything is wrong: then what the programs said is kept."""
    given = options().parse_args()
    faults = schedule(given.seed, given.seconds, given.nodes)
    folder = Path(tempfile.mkdtemp(prefix="chaos-"))
    wrongs = asyncio.run(storm(given, faults, folder))
    for wrong in wrongs:
        print(f"WRONG    {wrong}")
    counts = Counter(one.kind.value for one in faults)
    print(f"faults   {len(faults)}: {told(counts)}")
    again = f"make chaos SEED={given.seed} SECONDS={given.seconds:g} NODES={given.nodes}"
    print(f"repeat   {again} LOAD={given.load:g}")
    if wrongs:
        print(f"kept     {folder}")
    else:
        shutil.rmtree(folder)
    return bool(wrongs)


def options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="chaos")
    parser.add_argument("--seed", type=int, default=secrets.randbelow(10_000))
    parser.add_argument("--seconds", type=float, default=120, help="how long faults go on")
    parser.add_argument("--nodes", type=int, default=3)
    parser.add_argument("--load", type=float, default=8, help="orders a second")
    return parser


async def storm(given: argparse.Namespace, faults: Sequence[Fault], folder: Path) -> list[str]:
    """What is wrong."""
    say(f"seed {given.seed}, {given.nodes} nodes")
    async with chaos_deployment(folder, given.nodes) as town:
        customers = Clients(given.seed, [one.url for one in town.nodes], town.receiver)
        raging = asyncio.create_task(inject(town, faults, say))
        wishes = await customers.place_orders(given.load, given.seconds)
        await raging
        say(f"quiet; {len(wishes)} orders were answered, asked again {customers.retries} times")
        endings = await customers.final_statuses(wishes, REST_WITHIN)
        say(f"at rest: {told(endings)}")
        await customers.await_webhooks(wishes, REST_WITHIN)
        say(f"{len(town.receiver.delivered)} were told of their rest")
        examination = await asyncio.to_thread(check, town, customers)
        say(f"{examination.summary}; {told(launches(town))}")
        await customers.close()
    surprises = [*customers.surprises, *refused_callbacks(folder)]
    return [*wrong(endings, examination), *surprises]


def wrong(endings: Mapping[str, int], examination: DoctorReport) -> Iterator[str]:
    if endings.get(UNDER_WAY):
        yield f"{endings[UNDER_WAY]} sagas do not rest"
    for one in examination.findings:
        if one["kind"] == "violation":
            yield f"{one['saga_id']}: {one['detail']} [{one['code']}]"
    if examination.exit_code not in (0, 1):
        yield f"the doctor could not look: {examination.summary}"


def launches(town: ChaosDeployment) -> Mapping[str, int]:
    return {f"starts of {name}": one.launches for name, one in town.processes.items()}


def told(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{number} {name}" for name, number in counts.items())


def say(line: str) -> None:
    print(f"{time.monotonic() - BEGAN:7.1f}  {line}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
