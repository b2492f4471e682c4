"""Errands, as their clients see them through any node."""

from __future__ import annotations

from typing import Any

import httpx
from saga_orchestrator.tests.acceptance.house import AT_ONCE
from saga_orchestrator.tests.acceptance.waiting import until

ERRAND = {"saga_type": "errand", "entity_id": 1}


def begin(web: httpx.Client) -> str:
    """One that waits for its approval."""
    answer = web.post("/sagas/start", json=ERRAND, headers={"Prefer": AT_ONCE})
    saga_id: str = answer.raise_for_status().json()["saga_id"]
    await_step(web, saga_id, "approve")
    return saga_id


def await_step(web: httpx.Client, saga_id: str, step: str) -> None:
    until(lambda: status_of(web, saga_id)["current_step"] == step, f"{saga_id} is at {step}")


def status_of(web: httpx.Client, saga_id: str) -> dict[str, Any]:
    status: dict[str, Any] = web.get(f"/sagas/{saga_id}/status").json()
    return status


def etag_of(web: httpx.Client, saga_id: str) -> str:
    return str(web.get(f"/sagas/{saga_id}/status").headers["ETag"])
