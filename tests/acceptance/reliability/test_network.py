"""The network between the service and its database breaks, falls silent, or loses one message."""

from __future__ import annotations

import pytest
from saga_orchestrator.examples.scenarios import order_request
from saga_orchestrator.tests.acceptance.deployment import CONFIRM, CREATE, PAY, Deployment, Outcome
from saga_orchestrator.tests.acceptance.recording_proxy import HoldPoint
from saga_orchestrator.tests.acceptance.reliability.client_load import (
    ClientLoad,
    assert_all_completed_once,
    assert_retryable_503,
)
from saga_orchestrator.tests.acceptance.reliability.conftest import ProxiedDeployment
from saga_orchestrator.tests.acceptance.reliability.readiness import await_not_ready, await_ready
from saga_orchestrator.tests.support.tcp_proxy import LostPart
from saga_orchestrator.tests.support.waiting import wait_until

pytestmark = pytest.mark.slow


def test_network_cut_under_load_is_reported_and_survived(exposed: ProxiedDeployment) -> None:
    load = ClientLoad(exposed.deployment)
    with load.running():
        load.await_confirmed()
        with exposed.database_proxy.cut():
            await_not_ready(exposed.deployment)
            load.await_refusal()
        await_ready(exposed.deployment)
        load.await_confirmed()

    assert_all_completed_once(exposed.deployment, load.confirmed)


@pytest.mark.parametrize("what", LostPart)
@pytest.mark.parametrize("call", [CREATE, CONFIRM])
def test_network_cut_at_the_commit_of_a_reply_does_not_change_the_outcome(
    exposed: ProxiedDeployment, undisturbed: Outcome, what: LostPart, call: str
) -> None:
    house = exposed.deployment
    entity_id = house.new_order()
    with house.proxy.hold(call, HoldPoint.EFFECT) as hold:
        saga_id = house.submit_start(entity_id).result().json()["saga_id"]
        hold.await_call()
        with exposed.database_proxy.lose_message(what, "StepSucceeded") as loss:
            hold.release()
            loss.await_loss()

    assert house.outcome_of(entity_id) == undisturbed
    assert house.calls_in_order(saga_id) == [CREATE, PAY, CONFIRM]
    assert house.database.broken_event() is None


@pytest.mark.parametrize("what", LostPart)
def test_network_cut_at_the_commit_of_a_start_makes_one_saga(
    exposed: ProxiedDeployment, undisturbed: Outcome, what: LostPart
) -> None:
    house = exposed.deployment
    entity_id = house.new_order()
    with exposed.database_proxy.lose_message(what, "SagaStarted") as loss:
        answer = house.start(entity_id)
        loss.await_loss()

    assert (answer.status_code, answer.json()["status"]) == (200, "completed")
    assert house.outcome_of(entity_id) == undisturbed
    assert house.calls_in_order(answer.json()["saga_id"]) == [CREATE, PAY, CONFIRM]


@pytest.mark.long
def test_silent_network_blocks_no_client(exposed: ProxiedDeployment) -> None:
    house, entity_id = exposed.deployment, exposed.deployment.new_order()
    with exposed.database_proxy.silent():
        answer = house.api.post("/sagas/start", json=order_request(entity_id))
        await_not_ready(house)
    await_ready(house)

    assert_retryable_503(answer)
    assert answer.json()["code"] == "start-unconfirmed"
    wait_until(lambda: sagas_of(house, entity_id), "what was sent at last is recorded")
    assert_all_completed_once(house, sagas_of(house, entity_id))


def sagas_of(house: Deployment, entity_id: int) -> list[str]:
    sagas = house.api.get("/sagas", params={"entity_id": entity_id}).json()["sagas"]
    return [one["saga_id"] for one in sagas]
