"""Run several nodes under load, inject faults, and check every invariant at the end.

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
from saga_orchestrator.tests.chaos.clients import RUNNING, Clients
from saga_orchestrator.tests.chaos.deployment import ChaosDeployment, chaos_deployment
from saga_orchestrator.tests.chaos.fault_schedule import Fault, schedule
from saga_orchestrator.tests.chaos.nemesis import inject

REST_TIMEOUT_SECONDS = 150  # the longest delay before an attempt is a minute
BEGAN = time.monotonic()


def main() -> int:
    """Return 1 if anything is wrong; the logs of all processes are kept then."""
    options = argument_parser().parse_args()
    faults = schedule(options.seed, options.seconds, options.nodes)
    folder = Path(tempfile.mkdtemp(prefix="chaos-"))
    defects = asyncio.run(run(options, faults, folder))
    for defect in defects:
        print(f"WRONG    {defect}")
    counts = Counter(fault.kind.value for fault in faults)
    print(f"faults   {len(faults)}: {listed(counts)}")
    again = f"make chaos SEED={options.seed} SECONDS={options.seconds:g} NODES={options.nodes}"
    print(f"repeat   {again} LOAD={options.load:g}")
    if defects:
        print(f"kept     {folder}")
    else:
        shutil.rmtree(folder)
    return bool(defects)


def argument_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="chaos")
    parser.add_argument("--seed", type=int, default=secrets.randbelow(10_000))
    parser.add_argument("--seconds", type=float, default=120, help="duration of the faults")
    parser.add_argument("--nodes", type=int, default=3)
    parser.add_argument("--load", type=float, default=8, help="orders a second")
    return parser


async def run(options: argparse.Namespace, faults: Sequence[Fault], folder: Path) -> list[str]:
    """Run the workload under faults; return everything that is wrong."""
    log(f"seed {options.seed}, {options.nodes} nodes")
    async with chaos_deployment(folder, options.nodes) as deployment:
        urls = [node.url for node in deployment.nodes]
        clients = Clients(options.seed, urls, deployment.receiver)
        injection = asyncio.create_task(inject(deployment, faults, log))
        orders = await clients.place_orders(options.load, options.seconds)
        await injection
        log(f"faults over; {len(orders)} orders answered, {clients.retries} requests repeated")
        statuses = await clients.final_statuses(orders, REST_TIMEOUT_SECONDS)
        log(f"at rest: {listed(statuses)}")
        await clients.await_webhooks(orders, REST_TIMEOUT_SECONDS)
        log(f"{len(deployment.receiver.delivered)} webhooks delivered")
        report = await asyncio.to_thread(check, deployment, clients)
        log(f"{report.summary}; {listed(launches(deployment))}")
        await clients.close()
    return [*violations(statuses, report), *clients.surprises, *refused_callbacks(folder)]


def violations(statuses: Mapping[str, int], report: DoctorReport) -> Iterator[str]:
    if statuses.get(RUNNING):
        yield f"{statuses[RUNNING]} sagas do not rest"
    for finding in report.findings:
        if finding["kind"] == "violation":
            yield f"{finding['saga_id']}: {finding['detail']} [{finding['code']}]"
    if report.exit_code not in (0, 1):
        yield f"the doctor failed: {report.summary}"


def launches(deployment: ChaosDeployment) -> Mapping[str, int]:
    processes = deployment.processes.items()
    return {f"starts of {name}": process.launches for name, process in processes}


def listed(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{number} {name}" for name, number in counts.items())


def log(line: str) -> None:
    print(f"{time.monotonic() - BEGAN:7.1f}  {line}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
