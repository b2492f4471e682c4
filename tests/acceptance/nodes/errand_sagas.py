"""Errand sagas, as their clients see them through any node."""

from __future__ import annotations

from typing import Any

import httpx
from saga_orchestrator.tests.acceptance.deployment import PREFER_ASYNC
from saga_orchestrator.tests.support.waiting import wait_until

ERRAND = {"saga_type": "errand", "entity_id": 1}


def start_errand(web: httpx.Client) -> str:
    """Start an errand; return its id once it waits for its approval."""
    answer = web.post("/sagas/start", json=ERRAND, headers={"Prefer": PREFER_ASYNC})
    saga_id: str = answer.raise_for_status().json()["saga_id"]
    await_waiting(web, saga_id, "approve")
    return saga_id


def await_waiting(web: httpx.Client, saga_id: str, step: str) -> None:
    """Wait until a step waits for its signal or callback."""

    def statuses() -> dict[str, str]:
        return {each["name"]: each["status"] for each in status_of(web, saga_id)["steps"]}

    wait_until(lambda: statuses()[step] == "waiting", f"{step} of {saga_id} waits")


def status_of(web: httpx.Client, saga_id: str) -> dict[str, Any]:
    status: dict[str, Any] = web.get(f"/sagas/{saga_id}/status").json()
    return status


def etag_of(web: httpx.Client, saga_id: str) -> str:
    return str(web.get(f"/sagas/{saga_id}/status").headers["ETag"])
