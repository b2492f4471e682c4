from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import timedelta

import httpx
import pytest
from saga_orchestrator.fsm.runtime.health import CheckResult, SingleFlightHealthCheck

from .conftest import ScriptedHealth

UNWELL = {"log": CheckResult(False, "no answer"), "shards": CheckResult(True, "64")}


@pytest.mark.parametrize("path", ["/health", "/readyz"])
async def test_healthy_service_passes(client: httpx.AsyncClient, path: str) -> None:
    response = await client.get(path)

    assert response.status_code == 200
    assert response.json() == {
        "status": "pass",
        "checks": {"log": {"status": "pass", "detail": "2 ms"}},
    }


@pytest.mark.parametrize("path", ["/health", "/readyz"])
async def test_service_with_a_failed_check_fails(
    client: httpx.AsyncClient, health: ScriptedHealth, path: str
) -> None:
    health.checks = UNWELL

    response = await client.get(path)

    assert response.status_code == 503
    assert response.json() == {
        "status": "fail",
        "checks": {
            "log": {"status": "fail", "detail": "no answer"},
            "shards": {"status": "pass", "detail": "64"},
        },
    }


@pytest.mark.parametrize("path", ["/health", "/readyz"])
async def test_service_with_a_warning_serves(
    client: httpx.AsyncClient, health: ScriptedHealth, path: str
) -> None:
    health.checks = {"log": CheckResult(True), "callbacks": CheckResult(True, "7 owed", warns=True)}

    response = await client.get(path)

    assert response.status_code == 200
    assert response.json() == {
        "status": "warn",
        "checks": {
            "log": {"status": "pass", "detail": ""},
            "callbacks": {"status": "warn", "detail": "7 owed"},
        },
    }


async def test_liveness_depends_on_no_check(
    client: httpx.AsyncClient, health: ScriptedHealth
) -> None:
    health.checks = UNWELL

    response = await client.get("/livez")

    assert (response.status_code, response.json()["status"]) == (200, "pass")
    assert health.asked == 0


class Stuck:
    """Does not answer, and does not let itself be cancelled either."""

    def __init__(self) -> None:
        self.asked = 0
        self.thawed = asyncio.Event()

    async def check(self) -> Mapping[str, CheckResult]:
        self.asked += 1
        await asyncio.shield(self.thawed.wait())
        return {"log": CheckResult(True)}


async def test_stuck_check_delays_no_client_and_is_not_repeated() -> None:
    stuck = Stuck()
    question = SingleFlightHealthCheck(stuck)

    first = await question.check(timedelta())
    second = await question.check(timedelta())
    stuck.thawed.set()
    third = await question.check(timedelta(seconds=10))

    assert [check["answer"].ok for check in (first, second)] == [False, False]
    assert third == {"log": CheckResult(True)}
    assert stuck.asked == 1
