"""Nodes come and go while clients keep ordering: nothing is lost, and nothing is done twice."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from saga_orchestrator.eventstore import SHARDS, shard_of
from saga_orchestrator.tests.acceptance.house import (
    AT_ONCE,
    CONFIRM,
    CREATE,
    PATIENCE,
    PAY,
    Ending,
    House,
)
from saga_orchestrator.tests.acceptance.nodes.fix_cluster import Nodes
from saga_orchestrator.tests.acceptance.program import Program
from saga_orchestrator.tests.acceptance.relay import Point
from saga_orchestrator.tests.acceptance.reliability.load import Load, assert_whole
from saga_orchestrator.tests.acceptance.waiting import until

pytestmark = pytest.mark.slow

WAITING, MOVING = 8, 4


def test_who_waits_for_a_saga_hears_its_end_while_a_node_joins_under_load(
    house: House, undisturbed: Ending
) -> None:
    with house.heir() as joining, house.database.starts_held() as start:
        nodes = Nodes(house, [joining])
        nodes.await_shares(SHARDS)
        joining.launch()
        house.database.await_held_start()
        with house.relay.hold(PAY, Point.EFFECT) as hold:
            orders = orders_that_move(house)
            hold.await_calls(len(orders))
            hold.take_no_more()
            waiting = [house.start_soon(one, PATIENCE) for one in orders[-WAITING:]]
            with Load(house).running() as load:
                load.await_confirmed()
                start.release()
                until(lambda: len(nodes.shares()) == 2, "shards are handed over")
                hold.release()
                joining.await_health()
                nodes.await_shares(32, 32)
                load.await_confirmed()
            answers = [one.result() for one in waiting]

    told = [(one.status_code, one.json()["status"]) for one in answers]
    assert told == [(200, "completed")] * len(waiting)
    assert [house.ending(one) for one in orders] == [undisturbed] * len(orders)
    assert_whole(house, load.confirmed)
    assert_asked_once(house, [*load.confirmed, *map(house.saga_id, orders)])


def test_a_node_that_is_stopped_under_load_hands_over_and_nothing_is_sent_twice(
    pair: Nodes,
) -> None:
    house = pair.house
    with pair.doors() as doors, Load(house, doors).running() as load:
        load.await_confirmed()
        pair.other.terminate()
        pair.other.wait()
        pair.await_shares(64)
        load.await_confirmed()

    assert_whole(house, load.confirmed)
    assert_asked_once(house, load.confirmed)


def test_two_of_three_nodes_are_killed_at_once_under_load_and_the_third_goes_on_with_all(
    trio: Nodes, undisturbed: Ending
) -> None:
    house = trio.house
    orders = [house.order() for _ in range(3 * WAITING)]
    with trio.doors() as doors, Load(house, doors).running() as load:
        load.await_confirmed()
        with house.relay.hold(CREATE, Point.EFFECT) as hold:
            for place, one in enumerate(orders):
                house.start(one, AT_ONCE, doors[place % 3])
            hold.await_calls(len(orders))
            kill_at_once(trio.others)
            trio.await_shares(64)
            hold.release()
        load.await_confirmed()

    assert [house.ending(one) for one in orders] == [undisturbed] * len(orders)
    assert_whole(house, load.confirmed)
    assert house.database.broken_event() is None
    assert house.examination().violations == []


def orders_that_move(house: House) -> list[int]:
    """And others. A node that joins is given the last half of all shards: some of these orders are
    there, fewer than there are shards."""
    orders: list[int] = []
    moving = 0
    while moving < MOVING:
        orders.append(house.order())
        moving += shard_of(house.saga_id(orders[-1])) >= SHARDS // 2
    return orders


def kill_at_once(programs: Sequence[Program]) -> None:
    """No moment between them: each is frozen when the first one dies."""
    for one in programs:
        one.freeze()
    for one in programs:
        one.kill()


def assert_asked_once(house: House, sagas: Sequence[str]) -> None:
    """Each call was sent, and none was sent again; the doctor agrees that all is well."""
    assert [house.asked(one) for one in sagas] == [[CREATE, PAY, CONFIRM]] * len(sagas)
    assert house.database.broken_event() is None
    assert house.examination().violations == []
