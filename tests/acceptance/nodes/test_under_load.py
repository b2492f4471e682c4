"""Nodes join and leave while clients keep ordering: no saga is lost, and no effect is repeated."""

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


def test_waiting_client_gets_the_result_while_a_node_joins_under_load(
    deployment: Deployment, undisturbed: Outcome
) -> None:
    with deployment.successor() as joining, deployment.database.migrations_locked() as start:
        nodes = NodeGroup(deployment, [joining])
        nodes.await_shares(SHARD_COUNT)
        joining.launch()
        deployment.database.await_blocked_migration()
        with deployment.proxy.hold(PAY, HoldPoint.EFFECT) as hold:
            orders = orders_that_move(deployment)
            hold.await_calls(len(orders))
            hold.hold_no_more()
            waiting = [deployment.submit_start(order, PREFER_WAIT) for order in orders[-WAITING:]]
            with ClientLoad(deployment).running() as load:
                load.await_confirmed()
                start.release()
                wait_until(lambda: len(nodes.shares()) == 2, "shards are handed over")
                hold.release()
                joining.await_health()
                nodes.await_shares(32, 32)
                load.await_confirmed()
            responses = [response.result() for response in waiting]

    results = [(response.status_code, response.json()["status"]) for response in responses]
    assert results == [(200, "completed")] * len(waiting)
    assert [deployment.outcome_of(order) for order in orders] == [undisturbed] * len(orders)
    assert_all_completed_once(deployment, load.confirmed)
    assert_asked_once(deployment, [*load.confirmed, *map(deployment.saga_id, orders)])


def test_last_of_three_nodes_takes_over_all_sagas_under_load(
    trio: NodeGroup, undisturbed: Outcome
) -> None:
    deployment = trio.deployment
    orders = [deployment.new_order() for _ in range(3 * WAITING)]
    with trio.clients() as apis, ClientLoad(deployment, apis).running() as load:
        load.await_confirmed()
        with deployment.proxy.hold(CREATE, HoldPoint.EFFECT) as hold:
            for number, order in enumerate(orders):
                deployment.start(order, PREFER_ASYNC, apis[number % 3])
            hold.await_calls(len(orders))
            kill_at_once(trio.others)
            trio.await_shares(64)
            hold.release()
        load.await_confirmed()

    assert [deployment.outcome_of(order) for order in orders] == [undisturbed] * len(orders)
    assert_all_completed_once(deployment, load.confirmed)
    assert deployment.database.broken_event() is None
    assert deployment.run_doctor().violations == []


def orders_that_move(deployment: Deployment) -> list[int]:
    """Return orders of which MOVING are in the last half of all shards: a joining node gets it."""
    orders: list[int] = []
    moving = 0
    while moving < MOVING:
        orders.append(deployment.new_order())
        moving += shard_of(deployment.saga_id(orders[-1])) >= SHARD_COUNT // 2
    return orders


def kill_at_once(programs: Sequence[ServerProcess]) -> None:
    """Kill all with no moment in between: each is frozen when the first one dies."""
    for program in programs:
        program.freeze()
    for program in programs:
        program.kill()


def assert_asked_once(deployment: Deployment, sagas: Sequence[str]) -> None:
    """Assert that each call was sent exactly once, and that the doctor finds no violation."""
    assert [deployment.calls_in_order(saga_id) for saga_id in sagas] == [
        [CREATE, PAY, CONFIRM]
    ] * len(sagas)
    assert deployment.database.broken_event() is None
    assert deployment.run_doctor().violations == []
