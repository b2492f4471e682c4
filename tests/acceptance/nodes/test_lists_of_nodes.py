"""What one node has just recorded is in the lists of the other, and may be asked for there."""

from __future__ import annotations

import json

import pytest
from saga_orchestrator.tests.acceptance.house import PAY, Ending
from saga_orchestrator.tests.acceptance.nodes.fix_cluster import Nodes
from saga_orchestrator.tests.acceptance.relay import Point

pytestmark = pytest.mark.slow

SOME = 5


def test_a_saga_that_was_just_started_is_listed_by_the_other_node(
    pair: Nodes, undisturbed: Ending
) -> None:
    house = pair.house
    orders = [house.order() for _ in range(SOME)]
    with house.relay.hold(PAY, Point.EFFECT) as hold, pair.beside() as beside:
        for one in orders:
            saga_id = house.saga_id(one)
            listed = beside.get("/sagas", params={"entity_id": json.dumps(one)}).json()["sagas"]
            asked = {"action": "pause", "filter": {"entity_id": json.dumps(one)}, "reason": "-"}
            matched = beside.post("/bulk", json={**asked, "dry_run": True}).json()
            assert [each["saga_id"] for each in listed] == [saga_id]
            assert matched == {"matched": 1, "saga_ids": [saga_id]}
        hold.release()

    assert [house.ending(one) for one in orders] == [undisturbed] * SOME
