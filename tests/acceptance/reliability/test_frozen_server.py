"""The database server stops as a whole, as on a host that hangs, and nobody is told."""

from __future__ import annotations

import httpx
import pytest
from saga_orchestrator.tests.acceptance.house import CREATE, PAY, Ending
from saga_orchestrator.tests.acceptance.relay import Point
from saga_orchestrator.tests.acceptance.reliability.conftest import Exposed
from saga_orchestrator.tests.acceptance.reliability.load import assert_not_now
from saga_orchestrator.tests.acceptance.reliability.signs import (
    await_unwell,
    await_well,
    readiness,
)
from saga_orchestrator.tests.acceptance.waiting import until

pytestmark = pytest.mark.slow

SILENCE = "has not answered for"


def test_a_frozen_server_is_told_at_once_and_starts_are_refused(
    exposed: Exposed, undisturbed: Ending
) -> None:
    house, entity_id = exposed.house, exposed.house.order()
    with house.relay.hold(PAY, Point.EFFECT) as hold:
        saga_id = house.start_soon(entity_id).result().json()["saga_id"]
        hold.await_call()
        with exposed.server.frozen():
            hold.release()
            assert readiness(house).status_code == httpx.codes.SERVICE_UNAVAILABLE
            await_unwell(house)
            assert_not_now(house.web.get(f"/sagas/{saga_id}/status"))
            until(lambda: SILENCE in refused_start(exposed), "starts are refused without waiting")
        await_well(house)

    assert house.ending(entity_id) == undisturbed
    assert house.asked(saga_id)[:2] == [CREATE, PAY]
    assert house.database.broken_event() is None


@pytest.mark.long
def test_a_server_that_is_frozen_for_long_hangs_nobody(
    exposed: Exposed, undisturbed: Ending
) -> None:
    house, entity_id = exposed.house, exposed.house.order()
    assert house.ending(entity_id) == undisturbed
    resting = house.saga_id(entity_id)
    with exposed.server.frozen():
        # First of all, so that it gets the connection that knows nothing of the trouble yet.
        assert_not_now(house.web.get(f"/sagas/{resting}/status"))
        await_unwell(house)
        assert_not_now(house.web.get("/sagas"))
        assert_not_now(house.start(house.order()))
    await_well(house)

    assert house.ending(entity_id) == undisturbed


def refused_start(exposed: Exposed) -> str:
    """What the client is told, who may have waited for it."""
    answer = exposed.house.start(exposed.house.order())
    assert_not_now(answer)
    return answer.text
