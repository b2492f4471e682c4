"""Lists of one node contain what another node has just recorded."""

from __future__ import annotations

import json

import pytest
from saga_orchestrator.tests.acceptance.deployment import PAY, Outcome
from saga_orchestrator.tests.acceptance.nodes.node_group import NodeGroup
from saga_orchestrator.tests.acceptance.recording_proxy import HoldPoint

pytestmark = pytest.mark.slow

SOME = 5


def test_saga_just_started_is_listed_by_the_other_node(
    pair: NodeGroup, undisturbed: Outcome
) -> None:
    deployment = pair.deployment
    orders = [deployment.new_order() for _ in range(SOME)]
    with deployment.proxy.hold(PAY, HoldPoint.EFFECT) as hold, pair.client_of_other() as other_api:
        for order in orders:
            saga_id, entity_id = deployment.saga_id(order), json.dumps(order)
            listed = other_api.get("/sagas", params={"entity_id": entity_id}).json()["sagas"]
            job = {"action": "pause", "filter": {"entity_id": entity_id}, "reason": "-"}
            matched = other_api.post("/bulk", json={**job, "dry_run": True}).json()
            assert [each["saga_id"] for each in listed] == [saga_id]
            assert matched == {"matched": 1, "saga_ids": [saga_id]}
        hold.release()

    assert [deployment.outcome_of(order) for order in orders] == [undisturbed] * SOME
