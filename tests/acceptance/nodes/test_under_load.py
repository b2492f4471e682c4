"""Nodes come and go while clients keep ordering: nothing is lost, and nothing is done twice."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from saga_orchestrator.eventstore.event import SHARD_COUNT, shard_of
from saga_orchestrator.tests.acceptance.deployment import (
    CONFIRM,
    CREATE,
    PAY,
    PREFER_ASYNC,
    PREFER_WAIT,
    Deployment,
    Outcome,
)
from saga_orchestrator.tests.acceptance.nodes.node_group import NodeGroup
from saga_orchestrator.tests.acceptance.process import ServerProcess
from saga_orchestrator.tests.acceptance.recording_proxy import HoldPoint
from saga_orchestrator.tests.acceptance.reliability.client_load import (
    ClientLoad,
    assert_all_completed_once,
)
from saga_orchestrator.tests.support.waiting import wait_until

pytestmark = pytest.mark.slow

WAITING, MOVING = 8, 4


def test_who_waits_for_a_saga_hears_its_end_while_a_node_joins_under_load(
    house: Deployment, undisturbed: Outcome
) -> None:
    with house.successor() as joining, house.database.migrations_locked() as start:
        nodes = NodeGroup(house, [joining])
        nodes.await_shares(SHARD_COUNT)
        joining.launch()
        house.database.await_blocked_migration()
        with house.proxy.hold(PAY, HoldPoint.EFFECT) as hold:
            orders = orders_that_move(house)
            hold.await_calls(len(orders))
            hold.hold_no_more()
            waiting = [house.submit_start(one, PREFER_WAIT) for one in orders[-WAITING:]]
            with ClientLoad(house).running() as load:
                load.await_confirmed()
                start.release()
                wait_until(lambda: len(nodes.shares()) == 2, "shards are handed over")
                hold.release()
                joining.await_health()
                nodes.await_shares(32, 32)
                load.await_confirmed()
            answers = [one.result() for one in waiting]

    told = [(one.status_code, one.json()["status"]) for one in answers]
    assert told == [(200, "completed")] * len(waiting)
    assert [house.outcome_of(one) for one in orders] == [undisturbed] * len(orders)
    assert_all_completed_once(house, load.confirmed)
    assert_asked_once(house, [*load.confirmed, *map(house.saga_id, orders)])


def test_a_node_that_is_stopped_under_load_hands_over_and_nothing_is_sent_twice(
    pair: NodeGroup,
) -> None:
    house = pair.deployment
    with pair.clients() as doors, ClientLoad(house, doors).running() as load:
        load.await_confirmed()
        pair.other.terminate()
        pair.other.wait()
        pair.await_shares(64)
        load.await_confirmed()

    assert_all_completed_once(house, load.confirmed)
    assert_asked_once(house, load.confirmed)


def test_two_of_three_nodes_are_killed_at_once_under_load_and_the_third_goes_on_with_all(
    trio: NodeGroup, undisturbed: Outcome
) -> None:
    house = trio.deployment
    orders = [house.new_order() for _ in range(3 * WAITING)]
    with trio.clients() as doors, ClientLoad(house, doors).running() as load:
        load.await_confirmed()
        with house.proxy.hold(CREATE, HoldPoint.EFFECT) as hold:
            for place, one in enumerate(orders):
                house.start(one, PREFER_ASYNC, doors[place % 3])
            hold.await_calls(len(orders))
            kill_at_once(trio.others)
            trio.await_shares(64)
            hold.release()
        load.await_confirmed()

    assert [house.outcome_of(one) for one in orders] == [undisturbed] * len(orders)
    assert_all_completed_once(house, load.confirmed)
    assert house.database.broken_event() is None
    assert house.run_doctor().violations == []


def orders_that_move(house: Deployment) -> list[int]:
    """And others. A node that joins is given the last half of all shards: some of these orders are
    there, fewer than there are shards."""
    orders: list[int] = []
    moving = 0
    while moving < MOVING:
        orders.append(house.new_order())
        moving += shard_of(house.saga_id(orders[-1])) >= SHARD_COUNT // 2
    return orders


def kill_at_once(programs: Sequence[ServerProcess]) -> None:
    """No moment between them: each is frozen when the first one dies."""
    for one in programs:
        one.freeze()
    for one in programs:
        one.kill()


def assert_asked_once(house: Deployment, sagas: Sequence[str]) -> None:
    """Each call was sent, and none was sent again; the doctor agrees that all is well."""
    assert [house.calls_in_order(one) for one in sagas] == [[CREATE, PAY, CONFIRM]] * len(sagas)
    assert house.database.broken_event() is None
    assert house.run_doctor().violations == []
