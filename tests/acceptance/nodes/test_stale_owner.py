"""A node wakes up that was frozen for longer than anybody waits, and sends what it meant to."""

from __future__ import annotations

import pytest
from saga_orchestrator.tests.acceptance.deployment import CREATE, PREFER_ASYNC, Deployment, Outcome
from saga_orchestrator.tests.acceptance.nodes.node_group import more_nodes
from saga_orchestrator.tests.acceptance.recording_proxy import HoldPoint
from saga_orchestrator.tests.support.waiting import wait_until

pytestmark = pytest.mark.slow

MANY = 12


def test_the_late_calls_of_a_frozen_node_carry_an_older_epoch_and_it_can_append_nothing(
    house: Deployment, undisturbed: Outcome
) -> None:
    """All but its first call wait for their turn, which comes when the node wakes up."""
    orders = [house.new_order() for _ in range(MANY)]
    relay = house.proxy
    with more_nodes(house, 1, SAGA_CALLS_PER_PARTICIPANT="1") as nodes:
        all_of_them = len(nodes.completed()) + MANY
        with relay.hold(CREATE, HoldPoint.ARRIVAL) as hold, nodes.client_of_other() as beside:
            sagas = {house.start(one, PREFER_ASYNC, beside).json()["saga_id"] for one in orders}
            hold.await_call()
            nodes.other.freeze()
            nodes.await_shares(64)
            nodes.await_only_owners_connected()
            hold.await_calls(1 + MANY)
            hold.release()
        wait_until(lambda: len(nodes.completed()) == all_of_them, "all are completed by the other")
        completed, recorded, sent = nodes.completed(), recorded_of(house, sagas), len(relay.calls)
        nodes.other.thaw()
        wait_until(lambda: len(relay.calls) > sent, "a call comes late")
        nodes.await_shares(32, 32)
        nodes.await_ready()

    newest = {one.saga_id: one.epoch for one in relay.calls[:sent] if one.saga_id in sagas}
    late = relay.calls[sent:]
    assert newest == {one: completed[one] for one in sagas}
    assert all(one.epoch < newest[one.saga_id] for one in late), late
    assert recorded_of(house, sagas) == recorded
    assert [house.outcome_of(one) for one in orders] == [undisturbed] * MANY
    assert house.database.broken_event() is None
    assert house.run_doctor().violations == []


def recorded_of(house: Deployment, sagas: set[str]) -> dict[str, list[str]]:
    return {one: house.database.event_types(one) for one in sagas}
