"""What the service says of itself while something is wrong."""

from __future__ import annotations

from datetime import timedelta

import httpx
from saga_orchestrator.tests.acceptance.deployment import Deployment
from saga_orchestrator.tests.support.waiting import wait_until

READY_LIMIT = timedelta(milliseconds=500)
MEASUREMENT_TOLERANCE = timedelta(milliseconds=500)  # of a busy machine, on top of what is promised


def await_not_ready(house: Deployment, why: str = "") -> None:
    """It says so, and why, without being asked twice; and it lives."""
    wait_until(lambda: readiness(house).status_code == 503, "it says that it is not ready")
    answer = readiness(house)
    assert answer.json()["status"] == "fail"
    assert why in answer.text, answer.text
    assert house.api.get("/livez").status_code == httpx.codes.OK
    assert house.api.get("/health").json()["status"] == "fail"


def await_ready(house: Deployment) -> None:
    wait_until(lambda: readiness(house).status_code == 200, "it is ready again")
    health = house.api.get("/health")
    assert health.json()["status"] == "pass", health.text


def readiness(house: Deployment) -> httpx.Response:
    answer = house.api.get("/readyz")
    assert answer.elapsed < READY_LIMIT + MEASUREMENT_TOLERANCE
    return answer
