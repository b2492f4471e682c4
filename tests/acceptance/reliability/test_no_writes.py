"""The database answers, and takes no writes: it was set read-only, or it is a standby."""

from __future__ import annotations

from pathlib import Path

import pytest
from saga_orchestrator.tests.acceptance.fix_house import service
from saga_orchestrator.tests.acceptance.house import CONFIRM, CREATE, PAY, Ending
from saga_orchestrator.tests.acceptance.relay import Point
from saga_orchestrator.tests.acceptance.reliability.conftest import Exposed
from saga_orchestrator.tests.acceptance.reliability.load import assert_not_now
from saga_orchestrator.tests.acceptance.reliability.signs import await_unwell, await_well

pytestmark = pytest.mark.slow

READ_ONLY = "default_transaction_read_only"


def test_a_database_set_read_only_is_told_and_sagas_go_on_afterwards(
    exposed: Exposed, undisturbed: Ending
) -> None:
    house = exposed.house
    under_way, refused = house.order(), house.order()
    with house.relay.hold(PAY, Point.EFFECT) as hold:
        saga_id = house.start_soon(under_way).result().json()["saga_id"]
        hold.await_call()
        exposed.server.set(READ_ONLY, "on")
        await_unwell(house, "takes no writes")
        hold.release()
        assert_not_now(house.start(refused))
        assert house.status(saga_id)["status"] == "running"
        exposed.server.set(READ_ONLY, "off")
    await_well(house)

    assert [house.ending(one) for one in (under_way, refused)] == [undisturbed] * 2
    assert house.asked(saga_id) == [CREATE, PAY, CONFIRM]
    assert "quarantined" not in house.service.log.read_text()


def test_a_start_at_a_database_that_takes_no_writes_ends_with_one_line(
    exposed: Exposed, tmp_path: Path
) -> None:
    url = exposed.house.service.environ["DATABASE_URL"]
    late = service(
        tmp_path / "log", exposed.house.relay, DATABASE_URL=f"{url}?options=-c{READ_ONLY}%3Don"
    )
    late.launch()

    assert late.wait() != 0
    (line,) = late.log.read_text().splitlines()
    assert line.startswith("saga: DATABASE_URL cannot be used: it takes no writes")
