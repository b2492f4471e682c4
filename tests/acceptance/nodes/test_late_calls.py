"""A node wakes up that was frozen for longer than anybody waits, and sends what it meant to."""

from __future__ import annotations

import pytest
from saga_orchestrator.tests.acceptance.house import AT_ONCE, CREATE, Ending, House
from saga_orchestrator.tests.acceptance.nodes.fix_cluster import nodes_beside
from saga_orchestrator.tests.acceptance.relay import Point
from saga_orchestrator.tests.acceptance.waiting import until

pytestmark = pytest.mark.slow

MANY = 12


def test_the_late_calls_of_a_frozen_node_carry_an_older_epoch_and_it_can_append_nothing(
    house: House, undisturbed: Ending
) -> None:
    """All but its first call wait for their turn, which comes when the node wakes up."""
    orders = [house.order() for _ in range(MANY)]
    relay = house.relay
    with nodes_beside(house, 1, SAGA_CALLS_PER_PARTICIPANT="1") as nodes:
        all_of_them = len(nodes.completed()) + MANY
        with relay.hold(CREATE, Point.ARRIVAL) as hold, nodes.beside() as beside:
            sagas = {house.start(one, AT_ONCE, beside).json()["saga_id"] for one in orders}
            hold.await_call()
            nodes.other.freeze()
            nodes.await_shares(64)
            nodes.await_sessions_of_owners_alone()
            hold.await_calls(1 + MANY)
            hold.release()
        until(lambda: len(nodes.completed()) == all_of_them, "all are completed by the other")
        completed, recorded, sent = nodes.completed(), recorded_of(house, sagas), len(relay.calls)
        nodes.other.thaw()
        until(lambda: len(relay.calls) > sent, "a call comes late")
        nodes.await_shares(32, 32)
        nodes.await_ready()

    newest = {one.saga_id: one.epoch for one in relay.calls[:sent] if one.saga_id in sagas}
    late = relay.calls[sent:]
    assert newest == {one: completed[one] for one in sagas}
    assert all(one.epoch < newest[one.saga_id] for one in late), late
    assert recorded_of(house, sagas) == recorded
    assert [house.ending(one) for one in orders] == [undisturbed] * MANY
    assert house.database.broken_event() is None
    assert house.examination().violations == []


def recorded_of(house: House, sagas: set[str]) -> dict[str, list[str]]:
    return {one: house.database.types_of(one) for one in sagas}
