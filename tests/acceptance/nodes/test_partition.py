"""The network between one node and the database is cut: the node reports it and serves nothing
stale, its sagas go on on the other node, and it recovers by itself."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from datetime import timedelta

import httpx
import pytest
from saga_orchestrator.tests.acceptance.deployment import PAY, Deployment, Outcome
from saga_orchestrator.tests.acceptance.nodes.node_group import ProxiedPair
from saga_orchestrator.tests.acceptance.recording_proxy import HoldPoint
from saga_orchestrator.tests.acceptance.reliability.client_load import (
    ClientLoad,
    assert_all_completed_once,
    assert_retryable_503,
)
from saga_orchestrator.tests.acceptance.reliability.readiness import (
    await_not_ready,
    await_ready,
    readiness,
)
from saga_orchestrator.tests.support.waiting import wait_until

pytestmark = pytest.mark.slow

MANY = 10
COMMANDS = ("pause", "retry", "cancel", "compensate", "signals/approval", "steps/create_order/skip")
AT_ONCE = timedelta(milliseconds=500)


def test_partitioned_node_serves_nothing_stale_and_its_sagas_go_on_on_the_other(
    far: ProxiedPair, undisturbed: Outcome
) -> None:
    house, nodes = far.deployment, far.nodes
    orders = [house.new_order() for _ in range(MANY)]
    done = len(nodes.completed())
    with house.proxy.hold(PAY, HoldPoint.EFFECT) as hold:
        house.start_all(orders)
        sagas = [house.saga_id(order) for order in orders]
        hold.await_calls(MANY)
        with far.database_proxy.cut():
            await_not_ready(house)
            nodes.await_shares(64)
            for saga_id in sagas:
                assert_retryable_503(house.api.get(f"/sagas/{saga_id}/status"))
            hold.release()
            wait_until(
                lambda: len(nodes.completed()) == done + MANY, "all are completed by the other"
            )
            wait_until(lambda: refuses_at_once(house, sagas[0]), "the log is known to be silent")
            for command in COMMANDS:
                assert_retryable_503(house.api.post(f"/sagas/{sagas[0]}/{command}", json={}))
            for saga_id in sagas:
                assert_retryable_503(house.api.get(f"/sagas/{saga_id}/status"))
        wait_until(lambda: is_back(house, sagas), "it is back")
    nodes.await_shares(32, 32)
    nodes.await_ready()

    assert [house.outcome_of(order) for order in orders] == [undisturbed] * MANY
    assert house.database.broken_event() is None
    assert house.run_doctor().violations == []


def test_node_that_is_partitioned_under_load_loses_and_repeats_no_saga(far: ProxiedPair) -> None:
    house, load = far.deployment, ClientLoad(far.deployment)
    with load.running():
        load.await_confirmed()
        with far.database_proxy.cut():
            await_not_ready(house)
            far.nodes.await_shares(64)
            load.await_refusal()
        await_ready(house)
        far.nodes.await_shares(32, 32)
        far.nodes.await_ready()
        load.await_confirmed()

    assert_all_completed_once(house, load.confirmed)
    assert house.run_doctor().violations == []


def refuses_at_once(house: Deployment, saga_id: str) -> bool:
    """True if a command is refused at once; it waits until the node notices the silence."""
    with suppress(httpx.ReadTimeout):
        path, limit = f"/sagas/{saga_id}/signals/unexpected", AT_ONCE.total_seconds()
        return house.api.post(path, json={}, timeout=limit).status_code == 503
    return False


def is_back(house: Deployment, sagas: Sequence[str]) -> bool:
    are_served = [serves_completed(house, saga_id) for saga_id in sagas]
    return all(are_served) and readiness(house).is_success


def serves_completed(house: Deployment, saga_id: str) -> bool:
    """True if the status of a saga is served; a completed saga must never look otherwise."""
    response = house.api.get(f"/sagas/{saga_id}/status")
    if response.is_success:
        assert response.json()["status"] == "completed"
    return response.is_success
