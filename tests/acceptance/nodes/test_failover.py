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
    deployment = pair.deployment
    orders = [deployment.new_order() for _ in range(MANY)]
    with deployment.proxy.hold(PAY, HoldPoint.EFFECT) as hold:
        deployment.start_all(orders)
        hold.await_calls(MANY)
        sent = len(deployment.proxy.calls)
        deployment.service.kill()
        killed_at = time.monotonic()
        wait_until(lambda: len(deployment.proxy.calls) > sent, "a saga goes on")
        took = time.monotonic() - killed_at
        hold.release()
    print(f"a saga went on {took:.2f} s after the kill")

    pair.await_shares(64)
    deployment.service.start()

    assert [deployment.outcome_of(order) for order in orders] == [undisturbed] * MANY
    assert took < TAKEN_OVER_WITHIN.total_seconds()
    assert deployment.run_doctor().violations == []


def test_frozen_node_loses_its_shards_and_records_nothing_when_it_wakes(
    pair: NodeGroup, undisturbed: Outcome
) -> None:
    """The frozen node receives replies, which it may not record any more."""
    deployment = pair.deployment
    orders = [deployment.new_order() for _ in range(MANY)]
    with deployment.proxy.hold(PAY, HoldPoint.EFFECT) as hold:
        deployment.start_all(orders)
        sagas = [deployment.saga_id(order) for order in orders]
        hold.await_calls(MANY)
        with deployment.proxy.hold(PAY, HoldPoint.ARRIVAL) as anew:
            assert deployment.service.process is not None
            with frozen_processes([deployment.service.process.pid]):
                pair.await_shares(64)
                anew.await_calls(MANY)
                hold.release()
                before, losses = recorded(deployment, sagas), logged_losses(deployment)
            wait_until(
                lambda: logged_losses(deployment) > losses,
                "the node finds that its shards are lost",
            )
            pair.await_ready()
            after = recorded(deployment, sagas)
            anew.release()
    pair.await_shares(32, 32)

    assert after == before
    assert [deployment.outcome_of(order) for order in orders] == [undisturbed] * MANY
    assert deployment.database.broken_event() is None
    assert deployment.run_doctor().violations == []


def test_stopped_node_hands_its_sagas_over_and_no_call_is_repeated(
    pair: NodeGroup, undisturbed: Outcome
) -> None:
    deployment = pair.deployment
    orders = [deployment.new_order() for _ in range(MANY)]
    with deployment.proxy.hold(PAY, HoldPoint.ARRIVAL) as hold:
        deployment.start_all(orders)
        hold.await_calls(MANY)
        deployment.service.terminate()
        wait_until(lambda: max(pair.shares()) > 32, "what has settled is handed over")
        hold.release()
        deployment.service.wait()
    pair.await_shares(64)
    deployment.service.start()

    assert [deployment.outcome_of(order) for order in orders] == [undisturbed] * MANY
    calls_by_saga = [deployment.calls_in_order(deployment.saga_id(order)) for order in orders]
    assert all(len(calls) == len(set(calls)) for calls in calls_by_saga)
    assert deployment.run_doctor().violations == []


def test_concurrent_starts_with_one_key_at_two_nodes_make_one_saga(
    pair: NodeGroup, undisturbed: Outcome
) -> None:
    deployment = pair.deployment
    orders = [deployment.new_order() for _ in range(MANY)]

    with pair.client_of_other() as other_api:
        first = [deployment.submit_start(order) for order in orders]
        second = [deployment.start(order, PREFER_ASYNC, web=other_api) for order in orders]
        saga_ids = [response.result().json()["saga_id"] for response in first]

    assert saga_ids == [response.json()["saga_id"] for response in second]
    assert [deployment.outcome_of(order) for order in orders] == [undisturbed] * MANY
    assert deployment.run_doctor().violations == []


def recorded(deployment: Deployment, sagas: Sequence[str]) -> list[list[str]]:
    return [deployment.database.event_types(saga_id) for saga_id in sagas]


def logged_losses(deployment: Deployment) -> int:
    """Return how often the service has logged the loss of a shard."""
    return deployment.service.log.read_text().count("fenced: another node owns the shard")
