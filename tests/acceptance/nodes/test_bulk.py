"""Bulk jobs over several nodes: each saga gets the command once, whichever node dies."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from saga_orchestrator.tests.acceptance.nodes.node_group import NodeGroup
from saga_orchestrator.tests.support.waiting import wait_until

pytestmark = pytest.mark.slow

MANY = 60


def job_at_its_end(client: httpx.Client, path: str) -> dict[str, Any]:
    wait_until(lambda: client.get(path).json().get("finished_at") is not None, "the job is done")
    job: dict[str, Any] = client.get(path).json()
    return job


def test_job_of_a_killed_node_goes_on_without_a_second_command(pair: NodeGroup) -> None:
    house = pair.deployment
    orders = [house.new_order() for _ in range(MANY)]
    house.start_all(orders)
    sagas = [house.saga_id(order) for order in orders]
    body = {"action": "compensate", "filter": {"status": "completed"}, "reason": "recall"}
    with pair.client_of_other() as beside:
        wait_until(
            lambda: beside.post("/bulk", json={**body, "dry_run": True}).json()["matched"] >= MANY,
            "all sagas are listed as completed",
        )
        accepted = beside.post("/bulk", json=body)
        assert accepted.status_code == httpx.codes.ACCEPTED
        pair.other.kill()

    job = job_at_its_end(house.api, accepted.headers["location"])

    assert (job["status"], job["refused"]) == ("done", 0)
    assert job["done"] == job["matched"] >= MANY
    for saga_id in sagas:
        wait_until(
            lambda saga_id=saga_id: house.status(saga_id)["status"] == "compensated",  # type: ignore[misc]
            f"saga {saga_id} is compensated",
        )
        events = house.api.get(f"/sagas/{saga_id}/events").json()["events"]
        assert [event["type"] for event in events].count("CompensationStarted") == 1
    assert house.run_doctor().violations == []
