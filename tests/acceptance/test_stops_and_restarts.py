"""The service as its operators meet it: stopped, and without its database for a while."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import httpx
import pytest
from saga_orchestrator.eventstore.embedded import PostgresDataDirectory
from saga_orchestrator.eventstore.errors import EmbeddedServerFailed
from saga_orchestrator.tests.acceptance.deployment import (
    CONFIRM,
    CREATE,
    PAY,
    PREFER_WAIT,
    Deployment,
    Outcome,
    orchestrator_process,
    second_deployment,
)
from saga_orchestrator.tests.acceptance.recording_proxy import HoldPoint
from saga_orchestrator.tests.support.waiting import wait_until

pytestmark = pytest.mark.slow

STOPPED_WITHIN = timedelta(seconds=10)
SOME = 8


@pytest.fixture(scope="module")
def house_with_a_server(whole_house: Deployment) -> Iterator[Deployment]:
    """Its service has started a PostgreSQL itself."""
    # Not pytest's own folder: root's server runs under another account, which may not enter it.
    with tempfile.TemporaryDirectory(prefix="house-") as name:
        folder = Path(name)
        cluster = PostgresDataDirectory(folder.resolve() / "saga" / "postgresql")
        saga = orchestrator_process(
            folder / "log", whole_house.proxy, SAGA_DATA_DIR=str(folder / "saga")
        )
        with second_deployment(whole_house, saga, cluster.url) as house:
            yield house
        # A service that was killed last has left it running.
        with suppress(EmbeddedServerFailed):
            cluster.stop()


def test_stop_lets_the_call_in_flight_finish_and_sends_no_new_call(
    house: Deployment, undisturbed: Outcome
) -> None:
    entity_id = house.new_order()
    with house.proxy.hold(PAY, HoldPoint.EFFECT) as hold:
        waiting = house.submit_start(entity_id, PREFER_WAIT)
        hold.await_call()
        house.service.terminate()
        answer = waiting.result()
        hold.release()
        house.service.wait(STOPPED_WITHIN)

    saga_id = answer.json()["saga_id"]
    assert (answer.status_code, answer.json()["error"]) == (202, "still running")
    assert house.database.event_types(saga_id) == [
        "SagaStarted",
        *("StepCalled", "StepSucceeded"),
        *("StepCalled", "StepSucceeded"),
    ]

    house.service.start()

    assert house.outcome_of(entity_id) == undisturbed
    assert house.calls_in_order(saga_id) == [CREATE, PAY, CONFIRM]


def test_stop_abandons_a_call_that_does_not_end(house: Deployment, undisturbed: Outcome) -> None:
    entity_id = house.new_order()
    with house.proxy.hold(PAY, HoldPoint.EFFECT) as hold:
        house.submit_start(entity_id)
        hold.await_call()
        house.service.terminate()
        house.service.wait(STOPPED_WITHIN)

    house.service.start()

    assert house.outcome_of(entity_id) == undisturbed
    assert house.calls_in_order(house.saga_id(entity_id)) == [CREATE, PAY, PAY, CONFIRM]


def test_sagas_survive_repeated_loss_of_every_database_connection(
    house: Deployment, undisturbed: Outcome
) -> None:
    orders = [house.new_order() for _ in range(SOME)]
    with house.proxy.hold(PAY, HoldPoint.EFFECT) as hold:
        house.start_all(orders)
        hold.await_calls(SOME)
        broken = house.database.terminate_all_clients()
        hold.release()
    with house.proxy.hold(CONFIRM, HoldPoint.EFFECT) as hold:
        hold.await_calls(SOME)
        broken += house.database.terminate_all_clients()
        hold.release()

    assert [house.outcome_of(one) for one in orders] == [undisturbed] * SOME
    assert broken >= 2
    assert house.database.broken_event() is None


def test_sagas_survive_a_restart_of_the_database(
    house_with_a_server: Deployment, undisturbed: Outcome
) -> None:
    house = house_with_a_server
    cluster = PostgresDataDirectory(
        Path(house.service.environ["SAGA_DATA_DIR"]).resolve() / "postgresql"
    )
    orders = [house.new_order() for _ in range(SOME)]
    with house.proxy.hold(PAY, HoldPoint.EFFECT) as hold:
        house.start_all(orders)
        hold.await_calls(SOME)
        cluster.stop()
        hold.release()
    wait_until(
        lambda: health(house) == httpx.codes.SERVICE_UNAVAILABLE, "it says that it is unwell"
    )
    cluster.ensure_running()
    wait_until(lambda: health(house) == httpx.codes.OK, "it is well again")

    assert [house.outcome_of(one) for one in orders] == [undisturbed] * SOME


def test_embedded_database_left_running_by_a_killed_service_is_reused(
    house_with_a_server: Deployment, undisturbed: Outcome
) -> None:
    house = house_with_a_server
    entity_id = house.new_order()
    with house.proxy.hold(PAY, HoldPoint.EFFECT) as hold:
        house.submit_start(entity_id)
        hold.await_call()
        house.service.kill()

    house.service.start()

    assert house.outcome_of(entity_id) == undisturbed
    assert house.database.broken_event() is None


def health(house: Deployment) -> int:
    return house.api.get("/health").status_code
