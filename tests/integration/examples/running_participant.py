"""A participant as a real process, and the calls a saga would make to it."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

ORDER = {
    "customer_id": 1,
    "restaurant_id": 2,
    "total_amount": 50.00,
    "delivery_address": "123 Main St",
    "delivery_latitude": 40.7128,
    "delivery_longitude": -74.0060,
    "status": "PENDING_PAYMENT",
    "items": [{"menu_item_id": 1, "quantity": 2, "price": 25.00}],
}
PAYMENT = {"order_id": 7, "amount": 50.25, "payment_method": "credit_card", "status": "PENDING"}
CREATE, PAY, CONFIRM = "create_order", "process_payment", "confirm_order"

Json = Mapping[str, Any]


def called_by(step: str, *, saga: str = "s1", direction: str = "action") -> dict[str, str]:
    """The headers of a saga's call."""
    return {
        "Idempotency-Key": f"{saga}/{step}/{direction}",
        "Saga-Id": saga,
        "Saga-Step": step,
        "Saga-Attempt": "1",
    }


def undoing(step: str, *, saga: str = "s1") -> dict[str, str]:
    return called_by(step, saga=saga, direction="compensation")


@dataclass(slots=True)
class RunningParticipant:
    """Started by `start`; `web` talks to it."""

    module: str
    data: Path
    process: subprocess.Popen[str] = field(init=False)
    web: httpx.Client = field(init=False)

    def start(self, *arguments: str) -> None:
        module = f"saga_orchestrator.examples.{self.module}"
        self.process = subprocess.Popen(
            [sys.executable, "-m", module, "--port", "0", "--data", str(self.data), *arguments],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        url = self.process.stdout.readline().split()[-1]
        self.web = httpx.Client(base_url=url, trust_env=False, timeout=30)

    def end(self, how: signal.Signals = signal.SIGTERM) -> None:
        self.web.close()
        self.process.send_signal(how)
        self.process.communicate(timeout=20)

    def post(
        self, path: str, body: Json | None = None, headers: Mapping[str, str] | None = None
    ) -> httpx.Response:
        return self.web.post(path, json=body, headers=headers)
