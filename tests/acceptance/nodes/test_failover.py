"""A node is killed, frozen or stopped: its sagas go on on the other, and no effect is repeated."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import timedelta

import pytest
from saga_orchestrator.tests.acceptance.database import frozen_processes
from saga_orchestrator.tests.acceptance.deployment import PAY, PREFER_ASYNC, Deployment, Outcome
from saga_orchestrator.tests.acceptance.nodes.node_group import NodeGroup
from saga_orchestrator.tests.acceptance.recording_proxy import HoldPoint
from saga_orchestrator.tests.support.waiting import wait_until

pytestmark = pytest.mark.slow

MANY = 15  # fewer than open a circuit breaker: calls of a frozen node time out together
# 1.5 s on an idle machine.
TAKEN_OVER_WITHIN = timedelta(seconds=5)


def test_sagas_of_a_killed_node_go_on_on_the_other(pair: NodeGroup, undisturbed: Outcome) -> None:
    house = pair.deployment
    orders = [house.new_order() for _ in range(MANY)]
    with house.proxy.hold(PAY, HoldPoint.EFFECT) as hold:
        house.start_all(orders)
        hold.await_calls(MANY)
        sent = len(house.proxy.calls)
        house.service.kill()
        killed_at = time.monotonic()
        wait_until(lambda: len(house.proxy.calls) > sent, "a saga goes on")
        took = time.monotonic() - killed_at
        hold.release()
    print(f"a saga went on {took:.2f} s after the kill")

    pair.await_shares(64)
    house.service.start()

    assert [house.outcome_of(order) for order in orders] == [undisturbed] * MANY
    assert took < TAKEN_OVER_WITHIN.total_seconds()
    assert house.run_doctor().violations == []


def test_frozen_node_loses_its_shards_and_records_nothing_when_it_wakes(
    pair: NodeGroup, undisturbed: Outcome
) -> None:
    """The frozen node receives replies, which it may not record any more."""
    house = pair.deployment
    orders = [house.new_order() for _ in range(MANY)]
    with house.proxy.hold(PAY, HoldPoint.EFFECT) as hold:
        house.start_all(orders)
        sagas = [house.saga_id(order) for order in orders]
        hold.await_calls(MANY)
        with house.proxy.hold(PAY, HoldPoint.ARRIVAL) as anew:
            assert house.service.process is not None
            with frozen_processes([house.service.process.pid]):
                pair.await_shares(64)
                anew.await_calls(MANY)
                hold.release()
                before, losses = recorded(house, sagas), logged_losses(house)
            wait_until(
                lambda: logged_losses(house) > losses, "the node finds that its shards are lost"
            )
            pair.await_ready()
            after = recorded(house, sagas)
            anew.release()
    pair.await_shares(32, 32)

    assert after == before
    assert [house.outcome_of(order) for order in orders] == [undisturbed] * MANY
    assert house.database.broken_event() is None
    assert house.run_doctor().violations == []


def test_stopped_node_hands_its_sagas_over_and_no_call_is_repeated(
    pair: NodeGroup, undisturbed: Outcome
) -> None:
    house = pair.deployment
    orders = [house.new_order() for _ in range(MANY)]
    with house.proxy.hold(PAY, HoldPoint.ARRIVAL) as hold:
        house.start_all(orders)
        hold.await_calls(MANY)
        house.service.terminate()
        wait_until(lambda: max(pair.shares()) > 32, "what has settled is handed over")
        hold.release()
        house.service.wait()
    pair.await_shares(64)
    house.service.start()

    assert [house.outcome_of(order) for order in orders] == [undisturbed] * MANY
    calls_by_saga = [house.calls_in_order(house.saga_id(order)) for order in orders]
    assert all(len(calls) == len(set(calls)) for calls in calls_by_saga)
    assert house.run_doctor().violations == []


def test_concurrent_starts_with_one_key_at_two_nodes_make_one_saga(
    pair: NodeGroup, undisturbed: Outcome
) -> None:
    house = pair.deployment
    orders = [house.new_order() for _ in range(MANY)]

    with pair.client_of_other() as beside:
        first = [house.submit_start(order) for order in orders]
        second = [house.start(order, PREFER_ASYNC, web=beside) for order in orders]
        saga_ids = [response.result().json()["saga_id"] for response in first]

    assert saga_ids == [response.json()["saga_id"] for response in second]
    assert [house.outcome_of(order) for order in orders] == [undisturbed] * MANY
    assert house.run_doctor().violations == []


def recorded(house: Deployment, sagas: Sequence[str]) -> list[list[str]]:
    return [house.database.event_types(saga_id) for saga_id in sagas]


def logged_losses(house: Deployment) -> int:
    """Return how often the service has logged the loss of a shard."""
    return house.service.log.read_text().count('"shard lost"')
