"""The database server stops as a whole without closing its connections, as on a host that hangs."""

from __future__ import annotations

import httpx
import pytest
from saga_orchestrator.tests.acceptance.deployment import CREATE, PAY, Outcome
from saga_orchestrator.tests.acceptance.recording_proxy import HoldPoint
from saga_orchestrator.tests.acceptance.reliability.client_load import assert_retryable_503
from saga_orchestrator.tests.acceptance.reliability.conftest import ProxiedDeployment
from saga_orchestrator.tests.acceptance.reliability.readiness import (
    await_not_ready,
    await_ready,
    readiness,
)
from saga_orchestrator.tests.support.waiting import wait_until

pytestmark = pytest.mark.slow

SILENCE = "has not answered for"


def test_frozen_database_is_reported_at_once_and_starts_are_refused(
    proxied: ProxiedDeployment, undisturbed: Outcome
) -> None:
    deployment, entity_id = proxied.deployment, proxied.deployment.new_order()
    with deployment.proxy.hold(PAY, HoldPoint.EFFECT) as hold:
        saga_id = deployment.submit_start(entity_id).result().json()["saga_id"]
        hold.await_call()
        with proxied.server.frozen():
            hold.release()
            assert readiness(deployment).status_code == httpx.codes.SERVICE_UNAVAILABLE
            await_not_ready(deployment)
            assert_retryable_503(deployment.api.get(f"/sagas/{saga_id}/status"))
            wait_until(
                lambda: SILENCE in refused_start(proxied), "starts are refused without waiting"
            )
        await_ready(deployment)

    assert deployment.outcome_of(entity_id) == undisturbed
    assert deployment.calls_in_order(saga_id)[:2] == [CREATE, PAY]
    assert deployment.database.broken_event() is None


@pytest.mark.long
def test_frozen_database_blocks_no_client(proxied: ProxiedDeployment, undisturbed: Outcome) -> None:
    deployment, entity_id = proxied.deployment, proxied.deployment.new_order()
    assert deployment.outcome_of(entity_id) == undisturbed
    resting = deployment.saga_id(entity_id)
    with proxied.server.frozen():
        # First, so that it gets a connection whose trouble is not known yet.
        assert_retryable_503(deployment.api.get(f"/sagas/{resting}/status"))
        await_not_ready(deployment)
        assert_retryable_503(deployment.api.get("/sagas"))
        assert_retryable_503(deployment.start(deployment.new_order()))
    await_ready(deployment)

    assert deployment.outcome_of(entity_id) == undisturbed


def refused_start(proxied: ProxiedDeployment) -> str:
    """Return the problem of a refused start, which may have waited."""
    answer = proxied.deployment.start(proxied.deployment.new_order())
    assert_retryable_503(answer)
    return answer.text
