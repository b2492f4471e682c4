"""The calls that participants have received."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field

from saga_orchestrator.tests.blackbox.json_values import Json


@dataclass(slots=True)
class ReceivedCall:
    """One request as a participant received it."""

    label: str
    method: str
    path: str
    headers: dict[str, str]
    body: Json
    received: float = field(default_factory=time.time)
    ended: float = math.inf  # replied to, or given up by the caller
    took_effect: bool = False  # with this call; False if the key has had its effect before

    @property
    def saga_id(self) -> str:
        return self.headers.get("saga-id", "")

    @property
    def step(self) -> str:
        return self.headers.get("saga-step", "")

    @property
    def attempt(self) -> int | None:
        return _whole_number(self.headers.get("saga-attempt", ""))

    @property
    def epoch(self) -> int | None:
        return _whole_number(self.headers.get("saga-epoch", ""))

    @property
    def key(self) -> str:
        return self.headers.get("idempotency-key", "").strip('"')


def _whole_number(text: str) -> int | None:
    return int(text) if text.isdigit() else None
