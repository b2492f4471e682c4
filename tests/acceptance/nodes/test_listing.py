"""What one node has just recorded is in the lists of the other, and may be asked for there."""

from __future__ import annotations

import json

import pytest
from saga_orchestrator.tests.acceptance.deployment import PAY, Outcome
from saga_orchestrator.tests.acceptance.nodes.node_group import NodeGroup
from saga_orchestrator.tests.acceptance.recording_proxy import HoldPoint

pytestmark = pytest.mark.slow

SOME = 5


def test_a_saga_that_was_just_started_is_listed_by_the_other_node(
    pair: NodeGroup, undisturbed: Outcome
) -> None:
    house = pair.deployment
    orders = [house.new_order() for _ in range(SOME)]
    with house.proxy.hold(PAY, HoldPoint.EFFECT) as hold, pair.client_of_other() as beside:
        for one in orders:
            saga_id = house.saga_id(one)
            listed = beside.get("/sagas", params={"entity_id": json.dumps(one)}).json()["sagas"]
            asked = {"action": "pause", "filter": {"entity_id": json.dumps(one)}, "reason": "-"}
            matched = beside.post("/bulk", json={**asked, "dry_run": True}).json()
            assert [each["saga_id"] for each in listed] == [saga_id]
            assert matched == {"matched": 1, "saga_ids": [saga_id]}
        hold.release()

    assert [house.outcome_of(one) for one in orders] == [undisturbed] * SOME
