"""A closed loop of order sagas: wrk if it is installed, else a generator of our own.

Each connection starts a saga, waits for its end, and starts the next. Every answer is judged; one
wrong one, and there is no figure.
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
JUDGE = Path(__file__).with_name("check_response.lua")


class WrongAnswer(Exception):
    """The service did not do what the benchmark would measure."""


@dataclass(frozen=True, slots=True)
class Answered:
    """Of one run: how many sagas a second, and how long one took."""

    sagas: int
    seconds: float
    p50_ms: float
    p99_ms: float

    @classmethod
    def parse(cls, line: str) -> Self:
        """Raises WrongAnswer."""
        told = json.loads(line)
        if told["wrong"] or not told["right"]:
            raise WrongAnswer(f"{told['wrong']} answers were wrong, like: {told['example']}")
        return cls(told["right"], told["seconds"], told["p50_ms"], told["p99_ms"])


def generator() -> str:
    return "wrk" if shutil.which("wrk") else "a Python process"


def load(url: str, way: str, connections: int, seconds: int, folder: Path) -> Answered:
    """Raises WrongAnswer."""
    body = folder / "order.json"
    body.write_text(json.dumps(ORDER))
    told = (str(body), *ENDS[way])
    if wrk := shutil.which("wrk"):
        options = f"-t1 -c{connections} -d{seconds}s --timeout 60s -s {JUDGE}".split()
        command = [wrk, *options, f"{url}/sagas/start", "--", *told]
    else:
        module = "saga_orchestrator.benchmarks.generator"
        command = [sys.executable, "-m", module, url, *told, str(connections), str(seconds)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return Answered.parse(done.stdout.splitlines()[-1])
