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
def house_with_a_server(session_deployment: Deployment) -> Iterator[Deployment]:
    """Its service has started a PostgreSQL itself."""
    # Not pytest's own folder: root's server runs under another account, which may not enter it.
    with tempfile.TemporaryDirectory(prefix="deployment-") as name:
        folder = Path(name)
        cluster = PostgresDataDirectory(folder.resolve() / "saga" / "postgresql")
        saga = orchestrator_process(
            folder / "log", session_deployment.proxy, SAGA_DATA_DIR=str(folder / "saga")
        )
        with second_deployment(session_deployment, saga, cluster.url) as deployment:
            yield deployment
        # A service that was killed last has left it running.
        with suppress(EmbeddedServerFailed):
            cluster.stop()


def test_stop_lets_the_call_in_flight_finish_and_sends_no_new_call(
    deployment: Deployment, undisturbed: Outcome
) -> None:
    entity_id = deployment.new_order()
    with deployment.proxy.hold(PAY, HoldPoint.EFFECT) as hold:
        waiting = deployment.submit_start(entity_id, PREFER_WAIT)
        hold.await_call()
        deployment.service.terminate()
        answer = waiting.result()
        hold.release()
        deployment.service.wait(STOPPED_WITHIN)

    saga_id = answer.json()["saga_id"]
    assert (answer.status_code, answer.json()["error"]) == (202, "still running")
    assert deployment.database.event_types(saga_id) == [
        "SagaStarted",
        *("StepCalled", "StepSucceeded"),
        *("StepCalled", "StepSucceeded"),
    ]

    deployment.service.start()

    assert deployment.outcome_of(entity_id) == undisturbed
    assert deployment.calls_in_order(saga_id) == [CREATE, PAY, CONFIRM]


def test_sagas_survive_repeated_loss_of_every_database_connection(
    deployment: Deployment, undisturbed: Outcome
) -> None:
    orders = [deployment.new_order() for _ in range(SOME)]
    with deployment.proxy.hold(PAY, HoldPoint.EFFECT) as hold:
        deployment.start_all(orders)
        hold.await_calls(SOME)
        broken = deployment.database.terminate_all_clients()
        hold.release()
    with deployment.proxy.hold(CONFIRM, HoldPoint.EFFECT) as hold:
        hold.await_calls(SOME)
        broken += deployment.database.terminate_all_clients()
        hold.release()

    assert [deployment.outcome_of(order) for order in orders] == [undisturbed] * SOME
    assert broken >= 2
    assert deployment.database.broken_event() is None


def test_sagas_survive_a_restart_of_the_database(
    house_with_a_server: Deployment, undisturbed: Outcome
) -> None:
    deployment = house_with_a_server
    cluster = PostgresDataDirectory(
        Path(deployment.service.environ["SAGA_DATA_DIR"]).resolve() / "postgresql"
    )
    orders = [deployment.new_order() for _ in range(SOME)]
    with deployment.proxy.hold(PAY, HoldPoint.EFFECT) as hold:
        deployment.start_all(orders)
        hold.await_calls(SOME)
        cluster.stop()
        hold.release()
    wait_until(
        lambda: health(deployment) == httpx.codes.SERVICE_UNAVAILABLE, "it says that it is unwell"
    )
    cluster.ensure_running()
    wait_until(lambda: health(deployment) == httpx.codes.OK, "it is well again")

    assert [deployment.outcome_of(order) for order in orders] == [undisturbed] * SOME


def test_embedded_database_left_running_by_a_killed_service_is_reused(
    house_with_a_server: Deployment, undisturbed: Outcome
) -> None:
    deployment = house_with_a_server
    entity_id = deployment.new_order()
    with deployment.proxy.hold(PAY, HoldPoint.EFFECT) as hold:
        deployment.submit_start(entity_id)
        hold.await_call()
        deployment.service.kill()

    deployment.service.start()

    assert deployment.outcome_of(entity_id) == undisturbed
    assert deployment.database.broken_event() is None


def health(deployment: Deployment) -> int:
    return deployment.api.get("/health").status_code
