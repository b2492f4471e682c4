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
    exposed: ProxiedDeployment, down: Callable[[PostgresServer], None]
) -> None:
    load = ClientLoad(exposed.deployment)
    with load.running():
        load.await_confirmed()
        down(exposed.server)
        await_not_ready(exposed.deployment)
        load.await_refusal()
        exposed.server.start()
        await_ready(exposed.deployment)
        load.await_confirmed()

    assert_all_completed_once(exposed.deployment, load.confirmed)


def test_service_stops_while_its_database_is_down(
    exposed: ProxiedDeployment, undisturbed: Outcome
) -> None:
    house, entity_id = exposed.deployment, exposed.deployment.new_order()
    with house.proxy.hold(PAY, HoldPoint.EFFECT) as hold:
        house.submit_start(entity_id).result()
        hold.await_call()
        exposed.server.crash()
        hold.release()
        await_not_ready(house)
        house.service.terminate()
        house.service.wait()
    exposed.server.start()
    house.service.start()

    assert house.outcome_of(entity_id) == undisturbed
    assert "Traceback" not in house.service.log.read_text()
