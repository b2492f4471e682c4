"""What the service says of itself while something is wrong."""

from __future__ import annotations

from datetime import timedelta

import httpx
from saga_orchestrator.tests.acceptance.house import House
from saga_orchestrator.tests.acceptance.waiting import until

READY_LIMIT = timedelta(milliseconds=500)
OUR_OWN_TIME = timedelta(milliseconds=500)  # of a busy machine, on top of what is promised


def await_unwell(house: House, why: str = "") -> None:
    """It says so, and why, without being asked twice; and it lives."""
    until(lambda: readiness(house).status_code == 503, "it says that it is not ready")
    answer = readiness(house)
    assert answer.json()["status"] == "fail"
    assert why in answer.text, answer.text
    assert house.web.get("/livez").status_code == httpx.codes.OK
    assert house.web.get("/health").json()["status"] == "fail"


def await_well(house: House) -> None:
    until(lambda: readiness(house).status_code == 200, "it is ready again")
    health = house.web.get("/health")
    assert health.json()["status"] == "pass", health.text


def readiness(house: House) -> httpx.Response:
    answer = house.web.get("/readyz")
    assert answer.elapsed < READY_LIMIT + OUR_OWN_TIME
    return answer
