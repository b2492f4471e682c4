"""The readiness that the service reports during a fault."""

from __future__ import annotations

from datetime import timedelta

import httpx
from saga_orchestrator.tests.acceptance.deployment import Deployment
from saga_orchestrator.tests.support.waiting import wait_until

READY_LIMIT = timedelta(milliseconds=500)
MEASUREMENT_TOLERANCE = timedelta(milliseconds=500)  # for a busy machine


def await_not_ready(deployment: Deployment, why: str = "") -> None:
    """Wait until the service is not ready, with `why` in its report, and alive."""
    wait_until(lambda: readiness(deployment).status_code == 503, "the service is not ready")
    answer = readiness(deployment)
    assert answer.json()["status"] == "fail"
    assert why in answer.text, answer.text
    assert deployment.api.get("/livez").status_code == httpx.codes.OK
    assert deployment.api.get("/health").json()["status"] == "fail"


def await_ready(deployment: Deployment) -> None:
    wait_until(lambda: readiness(deployment).status_code == 200, "the service is ready again")
    health = deployment.api.get("/health")
    assert health.json()["status"] == "pass", health.text


def readiness(deployment: Deployment) -> httpx.Response:
    answer = deployment.api.get("/readyz")
    assert answer.elapsed < READY_LIMIT + MEASUREMENT_TOLERANCE
    return answer
