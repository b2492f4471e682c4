"""Measure a start over HTTP alone: the real interface under uvicorn, with nothing behind it.

    python benchmarks/http_ingress.py [--seconds N] [--rounds N] [--connections N] [--beside FOLDER]

CPU time of the process that serves, for each request that wrk makes. With `--beside` the rounds
alternate with those of another checkout, a folder `saga_orchestrator` inside FOLDER: on a machine
that others use too only the ratio of the two says something. Linux only, and wrk must be installed.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from statistics import median

from saga_orchestrator.benchmarks.load import load
from saga_orchestrator.benchmarks.participants import answers_within
from saga_orchestrator.benchmarks.processes import (
    cpu_seconds,
    free_ports,
    running,
    unwind_on_signals,
)

SERVICE = Path(__file__).with_name("http_ingress_service.py")
START_SECONDS = 10
WARM_UP_SECONDS = 1


def cost(environ: Mapping[str, str], connections: int, seconds: int) -> float:
    """Return the CPU microseconds of one request."""
    (port,) = free_ports(1)
    command = [sys.executable, str(SERVICE), str(port)]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with running(command, folder / "log", environ) as service:
            url = f"http://127.0.0.1:{port}"
            answers_within(f"{url}/livez", START_SECONDS)
            load(url, "forward", connections, WARM_UP_SECONDS, folder)
            used = cpu_seconds(service)
            result = load(url, "forward", connections, seconds, folder)
            return (cpu_seconds(service) - used) / result.sagas * 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seconds", type=int, default=3, help="a round (default 3)")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--beside", type=Path, metavar="FOLDER")
    options = parser.parse_args()
    unwind_on_signals()
    contenders: dict[str, dict[str, str]] = {"this": {}}
    if options.beside is not None:
        contenders["beside"] = {"PYTHONPATH": str(options.beside.resolve())}
    costs_by_version: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(options.rounds):
        for name, environ in contenders.items():
            costs_by_version[name].append(cost(environ, options.connections, options.seconds))
    for name, costs in costs_by_version.items():
        print(
            name.ljust(8), f"{median(costs):6.1f} us/request:", *(f"{cost:.1f}" for cost in costs)
        )


if __name__ == "__main__":
    main()
