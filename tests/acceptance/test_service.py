"""The service as its operators meet it: stopped, and without its database for a while."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import httpx
import pytest
from saga_orchestrator.eventstore import EmbeddedServerFailed
from saga_orchestrator.eventstore.cluster import Cluster
from saga_orchestrator.tests.acceptance.fix_house import house_next_door, service
from saga_orchestrator.tests.acceptance.house import (
    CONFIRM,
    CREATE,
    PATIENCE,
    PAY,
    Ending,
    House,
)
from saga_orchestrator.tests.acceptance.relay import Point
from saga_orchestrator.tests.acceptance.waiting import until

pytestmark = pytest.mark.slow

STOPPED_WITHIN = timedelta(seconds=10)
SOME = 8


@pytest.fixture(scope="module")
def house_with_a_server(whole_house: House) -> Iterator[House]:
    """Its service has started a PostgreSQL itself."""
    # Not pytest's own folder: root's server runs under another account, which may not enter it.
    with tempfile.TemporaryDirectory(prefix="house-") as name:
        folder = Path(name)
        cluster = Cluster(folder.resolve() / "saga" / "postgresql")
        saga = service(folder / "log", whole_house.relay, SAGA_DATA_DIR=str(folder / "saga"))
        with house_next_door(whole_house, saga, cluster.url) as house:
            yield house
        # A service that was killed last has left it running.
        with suppress(EmbeddedServerFailed):
            cluster.stop()


def test_a_stop_lets_the_call_under_way_finish_and_sends_nothing_new(
    house: House, undisturbed: Ending
) -> None:
    entity_id = house.order()
    with house.relay.hold(PAY, Point.EFFECT) as hold:
        waiting = house.start_soon(entity_id, PATIENCE)
        hold.await_call()
        house.service.terminate()
        answer = waiting.result()
        hold.release()
        house.service.wait(STOPPED_WITHIN)

    saga_id = answer.json()["saga_id"]
    assert (answer.status_code, answer.json()["error"]) == (202, "still running")
    assert house.database.types_of(saga_id) == [
        "SagaStarted",
        *("StepCalled", "StepSucceeded"),
        *("StepCalled", "StepSucceeded"),
    ]

    house.service.start()

    assert house.ending(entity_id) == undisturbed
    assert house.asked(saga_id) == [CREATE, PAY, CONFIRM]


def test_a_stop_gives_up_a_call_that_does_not_end(house: House, undisturbed: Ending) -> None:
    entity_id = house.order()
    with house.relay.hold(PAY, Point.EFFECT) as hold:
        house.start_soon(entity_id)
        hold.await_call()
        house.service.terminate()
        house.service.wait(STOPPED_WITHIN)

    house.service.start()

    assert house.ending(entity_id) == undisturbed
    assert house.asked(house.saga_id(entity_id)) == [CREATE, PAY, PAY, CONFIRM]


def test_nothing_is_lost_when_every_connection_to_the_database_breaks_again_and_again(
    house: House, undisturbed: Ending
) -> None:
    orders = [house.order() for _ in range(SOME)]
    with house.relay.hold(PAY, Point.EFFECT) as hold:
        house.start_all(orders)
        hold.await_calls(SOME)
        broken = house.database.terminate_everybody()
        hold.release()
    with house.relay.hold(CONFIRM, Point.EFFECT) as hold:
        hold.await_calls(SOME)
        broken += house.database.terminate_everybody()
        hold.release()

    assert [house.ending(one) for one in orders] == [undisturbed] * SOME
    assert broken >= 2
    assert house.database.broken_event() is None


def test_nothing_is_lost_when_the_database_is_restarted(
    house_with_a_server: House, undisturbed: Ending
) -> None:
    house = house_with_a_server
    cluster = Cluster(Path(house.service.environ["SAGA_DATA_DIR"]).resolve() / "postgresql")
    orders = [house.order() for _ in range(SOME)]
    with house.relay.hold(PAY, Point.EFFECT) as hold:
        house.start_all(orders)
        hold.await_calls(SOME)
        cluster.stop()
        hold.release()
    until(lambda: health(house) == httpx.codes.SERVICE_UNAVAILABLE, "it says that it is unwell")
    cluster.ensure_running()
    until(lambda: health(house) == httpx.codes.OK, "it is well again")

    assert [house.ending(one) for one in orders] == [undisturbed] * SOME


def test_a_database_that_a_killed_service_leaves_running_is_found_again(
    house_with_a_server: House, undisturbed: Ending
) -> None:
    house = house_with_a_server
    entity_id = house.order()
    with house.relay.hold(PAY, Point.EFFECT) as hold:
        house.start_soon(entity_id)
        hold.await_call()
        house.service.kill()

    house.service.start()

    assert house.ending(entity_id) == undisturbed
    assert house.database.broken_event() is None


def health(house: House) -> int:
    return house.web.get("/health").status_code
