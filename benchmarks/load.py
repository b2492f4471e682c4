"""A closed loop of order sagas: wrk if it is installed, else a generator in Python.

Each connection starts a saga, waits for its end, and starts the next. Every response is checked; a
single wrong one, and there is no figure.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Self

ORDER = {
    "saga_type": "order_processing",
    "entity_id": 4711,
    "step_data": [
        {
            "customer_id": 17,
            "restaurant_id": 3,
            "total_amount": 42.50,
            "delivery_address": "Hauptstr. 5",
            "delivery_latitude": 40.7128,
            "delivery_longitude": -74.0060,
            "items": [{"menu_item_id": 8, "quantity": 2, "price": 21.25}],
        },
        {"amount": 42.50, "payment_method": "credit_card"},
        {},
    ],
}
ENDS = {"forward": ("completed", "true"), "declined": ("compensated", "false")}
CHECK_SCRIPT = Path(__file__).with_name("check_response.lua")


class WrongAnswer(Exception):
    """The service did not do what the benchmark measures."""


@dataclass(frozen=True, slots=True)
class LoadResult:
    """The completed sagas of a run, and their latency."""

    sagas: int
    seconds: float
    p50_ms: float
    p99_ms: float

    @classmethod
    def parse(cls, line: str) -> Self:
        """Read the output of the load. Raises WrongAnswer if a response was wrong."""
        result = json.loads(line)
        if result["wrong"] or not result["right"]:
            raise WrongAnswer(f"{result['wrong']} wrong responses, such as: {result['example']}")
        return cls(result["right"], result["seconds"], result["p50_ms"], result["p99_ms"])


def generator() -> str:
    return "wrk" if shutil.which("wrk") else "a Python process"


def load(url: str, way: str, connections: int, seconds: int, folder: Path) -> LoadResult:
    """Run the load. Raises WrongAnswer if a response was wrong."""
    body = folder / "order.json"
    body.write_text(json.dumps(ORDER))
    arguments = (str(body), *ENDS[way])
    if wrk := shutil.which("wrk"):
        options = f"-t1 -c{connections} -d{seconds}s --timeout 60s -s {CHECK_SCRIPT}".split()
        command = [wrk, *options, f"{url}/sagas/start", "--", *arguments]
    else:
        module = "saga_orchestrator.benchmarks.generator"
        command = [sys.executable, "-m", module, url, *arguments, str(connections), str(seconds)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return LoadResult.parse(done.stdout.splitlines()[-1])
