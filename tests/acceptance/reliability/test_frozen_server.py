"""The database server stops as a whole, as on a host that hangs, and nobody is told."""

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
    exposed: ProxiedDeployment, undisturbed: Outcome
) -> None:
    house, entity_id = exposed.deployment, exposed.deployment.new_order()
    with house.proxy.hold(PAY, HoldPoint.EFFECT) as hold:
        saga_id = house.submit_start(entity_id).result().json()["saga_id"]
        hold.await_call()
        with exposed.server.frozen():
            hold.release()
            assert readiness(house).status_code == httpx.codes.SERVICE_UNAVAILABLE
            await_not_ready(house)
            assert_retryable_503(house.api.get(f"/sagas/{saga_id}/status"))
            wait_until(
                lambda: SILENCE in refused_start(exposed), "starts are refused without waiting"
            )
        await_ready(house)

    assert house.outcome_of(entity_id) == undisturbed
    assert house.calls_in_order(saga_id)[:2] == [CREATE, PAY]
    assert house.database.broken_event() is None


@pytest.mark.long
def test_frozen_database_blocks_no_client(exposed: ProxiedDeployment, undisturbed: Outcome) -> None:
    house, entity_id = exposed.deployment, exposed.deployment.new_order()
    assert house.outcome_of(entity_id) == undisturbed
    resting = house.saga_id(entity_id)
    with exposed.server.frozen():
        # First of all, so that it gets the connection that knows nothing of the trouble yet.
        assert_retryable_503(house.api.get(f"/sagas/{resting}/status"))
        await_not_ready(house)
        assert_retryable_503(house.api.get("/sagas"))
        assert_retryable_503(house.start(house.new_order()))
    await_ready(house)

    assert house.outcome_of(entity_id) == undisturbed


def refused_start(exposed: ProxiedDeployment) -> str:
    """What the client is told, who may have waited for it."""
    answer = exposed.deployment.start(exposed.deployment.new_order())
    assert_retryable_503(answer)
    return answer.text
