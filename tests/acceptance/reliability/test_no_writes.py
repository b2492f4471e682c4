"""The database accepts no writes: it was set read-only, or it is a standby."""

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
    proxied: ProxiedDeployment, undisturbed: Outcome
) -> None:
    deployment = proxied.deployment
    running, refused = deployment.new_order(), deployment.new_order()
    with deployment.proxy.hold(PAY, HoldPoint.EFFECT) as hold:
        saga_id = deployment.submit_start(running).result().json()["saga_id"]
        hold.await_call()
        proxied.server.set(READ_ONLY, "on")
        await_not_ready(deployment, "takes no writes")
        hold.release()
        assert_retryable_503(deployment.start(refused))
        assert deployment.status(saga_id)["status"] == "running"
        proxied.server.set(READ_ONLY, "off")
    await_ready(deployment)

    assert [deployment.outcome_of(order) for order in (running, refused)] == [undisturbed] * 2
    assert deployment.calls_in_order(saga_id) == [CREATE, PAY, CONFIRM]
    assert "quarantined" not in deployment.service.log.read_text()


def test_start_on_a_read_only_database_ends_with_one_line(
    proxied: ProxiedDeployment, tmp_path: Path
) -> None:
    url = proxied.deployment.service.environ["DATABASE_URL"]
    late = orchestrator_process(
        tmp_path / "log", proxied.deployment.proxy, DATABASE_URL=f"{url}?options=-c{READ_ONLY}%3Don"
    )
    late.launch()

    assert late.wait() != 0
    (line,) = late.log.read_text().splitlines()
    assert line.startswith("saga: DATABASE_URL cannot be used: it takes no writes")
