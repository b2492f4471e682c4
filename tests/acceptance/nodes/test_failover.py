"""A node is killed, frozen or stopped: its sagas go on in the other, and nothing is done twice."""

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

MANY = 15  # fewer than open a breaker: calls of a frozen node time out together
# A second and a half on a machine with nothing else to do.
TAKEN_OVER_WITHIN = timedelta(seconds=5)


def test_the_sagas_of_a_killed_node_go_on_in_the_other(
    pair: NodeGroup, undisturbed: Outcome
) -> None:
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

    assert [house.outcome_of(one) for one in orders] == [undisturbed] * MANY
    assert took < TAKEN_OVER_WITHIN.total_seconds()
    assert house.run_doctor().violations == []


def test_a_frozen_node_is_taken_over_and_changes_nothing_when_it_wakes(
    pair: NodeGroup, undisturbed: Outcome
) -> None:
    """It has the answers that the other one still waits for: they are not its to record."""
    house = pair.deployment
    orders = [house.new_order() for _ in range(MANY)]
    with house.proxy.hold(PAY, HoldPoint.EFFECT) as hold:
        house.start_all(orders)
        sagas = [house.saga_id(one) for one in orders]
        hold.await_calls(MANY)
        with house.proxy.hold(PAY, HoldPoint.ARRIVAL) as anew:
            assert house.service.process is not None
            with frozen_processes([house.service.process.pid]):
                pair.await_shares(64)
                anew.await_calls(MANY)
                hold.release()
                before, losses = recorded(house, sagas), losses_told(house)
            wait_until(lambda: losses_told(house) > losses, "it finds that its shards are lost")
            pair.await_ready()
            after = recorded(house, sagas)
            anew.release()
    pair.await_shares(32, 32)

    assert after == before
    assert [house.outcome_of(one) for one in orders] == [undisturbed] * MANY
    assert house.database.broken_event() is None
    assert house.run_doctor().violations == []


def test_a_stopped_node_hands_its_sagas_over_and_nothing_is_sent_twice(
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

    assert [house.outcome_of(one) for one in orders] == [undisturbed] * MANY
    calls = [house.calls_in_order(house.saga_id(one)) for one in orders]
    assert all(len(one) == len(set(one)) for one in calls)
    assert house.run_doctor().violations == []


def test_one_key_is_one_saga_whichever_node_is_asked(pair: NodeGroup, undisturbed: Outcome) -> None:
    house = pair.deployment
    orders = [house.new_order() for _ in range(MANY)]

    with pair.client_of_other() as beside:
        here = [house.submit_start(one) for one in orders]
        there = [house.start(one, PREFER_ASYNC, web=beside) for one in orders]
        names = [one.result().json()["saga_id"] for one in here]

    assert names == [one.json()["saga_id"] for one in there]
    assert [house.outcome_of(one) for one in orders] == [undisturbed] * MANY
    assert house.run_doctor().violations == []


def recorded(house: Deployment, sagas: Sequence[str]) -> list[list[str]]:
    return [house.database.event_types(one) for one in sagas]


def losses_told(house: Deployment) -> int:
    """How often a node has said that a shard is lost to it."""
    return house.service.log.read_text().count('"shard lost"')
