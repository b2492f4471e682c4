"""The database server is restarted, or dies, while clients keep ordering."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from saga_orchestrator.tests.acceptance.house import PAY, Ending
from saga_orchestrator.tests.acceptance.relay import Point
from saga_orchestrator.tests.acceptance.reliability.conftest import Exposed
from saga_orchestrator.tests.acceptance.reliability.load import Load, assert_whole
from saga_orchestrator.tests.acceptance.reliability.own_server import OwnServer
from saga_orchestrator.tests.acceptance.reliability.signs import await_unwell, await_well

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("down", [OwnServer.stop, OwnServer.crash])
def test_a_server_that_goes_down_under_load_loses_and_doubles_nothing(
    exposed: Exposed, down: Callable[[OwnServer], None]
) -> None:
    load = Load(exposed.house)
    with load.running():
        load.await_confirmed()
        down(exposed.server)
        await_unwell(exposed.house)
        load.await_refusal()
        exposed.server.start()
        await_well(exposed.house)
        load.await_confirmed()

    assert_whole(exposed.house, load.confirmed)


def test_a_service_is_stopped_while_its_database_is_away(
    exposed: Exposed, undisturbed: Ending
) -> None:
    house, entity_id = exposed.house, exposed.house.order()
    with house.relay.hold(PAY, Point.EFFECT) as hold:
        house.start_soon(entity_id).result()
        hold.await_call()
        exposed.server.crash()
        hold.release()
        await_unwell(house)
        house.service.terminate()
        house.service.wait()
    exposed.server.start()
    house.service.start()

    assert house.ending(entity_id) == undisturbed
    assert "Traceback" not in house.service.log.read_text()
