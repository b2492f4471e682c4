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
    proxied_pair: ProxiedPair, undisturbed: Outcome
) -> None:
    deployment, nodes = proxied_pair.deployment, proxied_pair.nodes
    orders = [deployment.new_order() for _ in range(MANY)]
    done = len(nodes.completed())
    with deployment.proxy.hold(PAY, HoldPoint.EFFECT) as hold:
        deployment.start_all(orders)
        sagas = [deployment.saga_id(order) for order in orders]
        hold.await_calls(MANY)
        with proxied_pair.database_proxy.cut():
            await_not_ready(deployment)
            nodes.await_shares(64)
            for saga_id in sagas:
                assert_retryable_503(deployment.api.get(f"/sagas/{saga_id}/status"))
            hold.release()
            wait_until(
                lambda: len(nodes.completed()) == done + MANY, "all are completed by the other"
            )
            wait_until(
                lambda: refuses_at_once(deployment, sagas[0]), "the log is known to be silent"
            )
            for command in COMMANDS:
                assert_retryable_503(deployment.api.post(f"/sagas/{sagas[0]}/{command}", json={}))
            for saga_id in sagas:
                assert_retryable_503(deployment.api.get(f"/sagas/{saga_id}/status"))
        wait_until(lambda: is_back(deployment, sagas), "it is back")
    nodes.await_shares(32, 32)
    nodes.await_ready()

    assert [deployment.outcome_of(order) for order in orders] == [undisturbed] * MANY
    assert deployment.database.broken_event() is None
    assert deployment.run_doctor().violations == []


def test_node_that_is_partitioned_under_load_loses_and_repeats_no_saga(
    proxied_pair: ProxiedPair,
) -> None:
    deployment, load = proxied_pair.deployment, ClientLoad(proxied_pair.deployment)
    with load.running():
        load.await_confirmed()
        with proxied_pair.database_proxy.cut():
            await_not_ready(deployment)
            proxied_pair.nodes.await_shares(64)
            load.await_refusal()
        await_ready(deployment)
        proxied_pair.nodes.await_shares(32, 32)
        proxied_pair.nodes.await_ready()
        load.await_confirmed()

    assert_all_completed_once(deployment, load.confirmed)
    assert deployment.run_doctor().violations == []


def refuses_at_once(deployment: Deployment, saga_id: str) -> bool:
    """True if a command is refused at once; it waits until the node notices the silence."""
    with suppress(httpx.ReadTimeout):
        path, limit = f"/sagas/{saga_id}/signals/unexpected", AT_ONCE.total_seconds()
        return deployment.api.post(path, json={}, timeout=limit).status_code == 503
    return False


def is_back(deployment: Deployment, sagas: Sequence[str]) -> bool:
    are_served = [serves_completed(deployment, saga_id) for saga_id in sagas]
    return all(are_served) and readiness(deployment).is_success


def serves_completed(deployment: Deployment, saga_id: str) -> bool:
    """True if the status of a saga is served; a completed saga must never look otherwise."""
    response = deployment.api.get(f"/sagas/{saga_id}/status")
    if response.is_success:
        assert response.json()["status"] == "completed"
    return response.is_success
