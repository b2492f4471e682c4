"""A node that was frozen until its shards were taken over wakes up, and sends its pending calls."""

from __future__ import annotations

import pytest
from saga_orchestrator.tests.acceptance.deployment import CREATE, PREFER_ASYNC, Deployment, Outcome
from saga_orchestrator.tests.acceptance.nodes.node_group import more_nodes
from saga_orchestrator.tests.acceptance.recording_proxy import HoldPoint
from saga_orchestrator.tests.support.waiting import wait_until

pytestmark = pytest.mark.slow

MANY = 12


def test_late_calls_of_a_frozen_node_carry_an_older_epoch_and_are_not_recorded(
    deployment: Deployment, undisturbed: Outcome
) -> None:
    """All but the first call of the node wait for the concurrency limit until it wakes up."""
    orders = [deployment.new_order() for _ in range(MANY)]
    proxy = deployment.proxy
    with more_nodes(deployment, 1, SAGA_CALLS_PER_PARTICIPANT="1") as nodes:
        expected = len(nodes.completed()) + MANY
        with proxy.hold(CREATE, HoldPoint.ARRIVAL) as hold, nodes.client_of_other() as other_api:
            responses = [deployment.start(order, PREFER_ASYNC, other_api) for order in orders]
            sagas = {response.json()["saga_id"] for response in responses}
            hold.await_call()
            nodes.other.freeze()
            nodes.await_shares(64)
            nodes.await_only_owners_connected()
            hold.await_calls(1 + MANY)
            hold.release()
        wait_until(lambda: len(nodes.completed()) == expected, "all are completed by the other")
        completed, recorded, sent = (
            nodes.completed(),
            recorded_of(deployment, sagas),
            len(proxy.calls),
        )
        nodes.other.thaw()
        wait_until(lambda: len(proxy.calls) > sent, "a call comes late")
        nodes.await_shares(32, 32)
        nodes.await_ready()

    newest = {call.saga_id: call.epoch for call in proxy.calls[:sent] if call.saga_id in sagas}
    late = proxy.calls[sent:]
    assert newest == {saga_id: completed[saga_id] for saga_id in sagas}
    assert all(call.epoch < newest[call.saga_id] for call in late), late
    assert recorded_of(deployment, sagas) == recorded
    assert [deployment.outcome_of(order) for order in orders] == [undisturbed] * MANY
    assert deployment.database.broken_event() is None
    assert deployment.run_doctor().violations == []


def recorded_of(deployment: Deployment, sagas: set[str]) -> dict[str, list[str]]:
    return {saga_id: deployment.database.event_types(saga_id) for saga_id in sagas}
