"""The database server is restarted, or dies, while clients keep ordering."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from saga_orchestrator.tests.acceptance.deployment import PAY, Outcome
from saga_orchestrator.tests.acceptance.recording_proxy import HoldPoint
from saga_orchestrator.tests.acceptance.reliability.client_load import (
    ClientLoad,
    assert_all_completed_once,
)
from saga_orchestrator.tests.acceptance.reliability.conftest import ProxiedDeployment
from saga_orchestrator.tests.acceptance.reliability.postgres_server import PostgresServer
from saga_orchestrator.tests.acceptance.reliability.readiness import await_not_ready, await_ready

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("down", [PostgresServer.stop, PostgresServer.crash])
def test_database_that_goes_down_under_load_loses_and_repeats_no_saga(
    proxied: ProxiedDeployment, down: Callable[[PostgresServer], None]
) -> None:
    load = ClientLoad(proxied.deployment)
    with load.running():
        load.await_confirmed()
        down(proxied.server)
        await_not_ready(proxied.deployment)
        load.await_refusal()
        proxied.server.start()
        await_ready(proxied.deployment)
        load.await_confirmed()

    assert_all_completed_once(proxied.deployment, load.confirmed)


def test_service_stops_while_its_database_is_down(
    proxied: ProxiedDeployment, undisturbed: Outcome
) -> None:
    deployment, entity_id = proxied.deployment, proxied.deployment.new_order()
    with deployment.proxy.hold(PAY, HoldPoint.EFFECT) as hold:
        deployment.submit_start(entity_id).result()
        hold.await_call()
        proxied.server.crash()
        hold.release()
        await_not_ready(deployment)
        deployment.service.terminate()
        deployment.service.wait()
    proxied.server.start()
    deployment.service.start()

    assert deployment.outcome_of(entity_id) == undisturbed
    assert "Traceback" not in deployment.service.log.read_text()
