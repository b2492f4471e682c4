"""The database answers, and takes no writes: it was set read-only, or it is a standby."""

from __future__ import annotations

from pathlib import Path

import pytest
from saga_orchestrator.tests.acceptance.deployment import (
    CONFIRM,
    CREATE,
    PAY,
    Outcome,
    orchestrator_process,
)
from saga_orchestrator.tests.acceptance.recording_proxy import HoldPoint
from saga_orchestrator.tests.acceptance.reliability.client_load import assert_retryable_503
from saga_orchestrator.tests.acceptance.reliability.conftest import ProxiedDeployment
from saga_orchestrator.tests.acceptance.reliability.readiness import await_not_ready, await_ready

pytestmark = pytest.mark.slow

READ_ONLY = "default_transaction_read_only"


def test_read_only_database_is_reported_and_sagas_go_on_afterwards(
    exposed: ProxiedDeployment, undisturbed: Outcome
) -> None:
    house = exposed.deployment
    under_way, refused = house.new_order(), house.new_order()
    with house.proxy.hold(PAY, HoldPoint.EFFECT) as hold:
        saga_id = house.submit_start(under_way).result().json()["saga_id"]
        hold.await_call()
        exposed.server.set(READ_ONLY, "on")
        await_not_ready(house, "takes no writes")
        hold.release()
        assert_retryable_503(house.start(refused))
        assert house.status(saga_id)["status"] == "running"
        exposed.server.set(READ_ONLY, "off")
    await_ready(house)

    assert [house.outcome_of(one) for one in (under_way, refused)] == [undisturbed] * 2
    assert house.calls_in_order(saga_id) == [CREATE, PAY, CONFIRM]
    assert "quarantined" not in house.service.log.read_text()


def test_start_on_a_read_only_database_ends_with_one_line(
    exposed: ProxiedDeployment, tmp_path: Path
) -> None:
    url = exposed.deployment.service.environ["DATABASE_URL"]
    late = orchestrator_process(
        tmp_path / "log", exposed.deployment.proxy, DATABASE_URL=f"{url}?options=-c{READ_ONLY}%3Don"
    )
    late.launch()

    assert late.wait() != 0
    (line,) = late.log.read_text().splitlines()
    assert line.startswith("saga: DATABASE_URL cannot be used: it takes no writes")
