"""The database server is restarted, or dies, while clients keep ordering."""

from __future__ import annotations

from collections.abc import Callable

import pytest
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
        load.await_refused()
        exposed.server.start()
        await_well(exposed.house)
        load.await_confirmed()

    assert_whole(exposed.house, load.confirmed)
