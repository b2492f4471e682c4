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


def test_network_cut_under_load_is_reported_and_survived(proxied: ProxiedDeployment) -> None:
    load = ClientLoad(proxied.deployment)
    with load.running():
        load.await_confirmed()
        with proxied.database_proxy.cut():
            await_not_ready(proxied.deployment)
            load.await_refusal()
        await_ready(proxied.deployment)
        load.await_confirmed()

    assert_all_completed_once(proxied.deployment, load.confirmed)


@pytest.mark.parametrize("what", LostPart)
@pytest.mark.parametrize("call", [CREATE, CONFIRM])
def test_network_cut_at_the_commit_of_a_reply_does_not_change_the_outcome(
    proxied: ProxiedDeployment, undisturbed: Outcome, what: LostPart, call: str
) -> None:
    deployment = proxied.deployment
    entity_id = deployment.new_order()
    with deployment.proxy.hold(call, HoldPoint.EFFECT) as hold:
        saga_id = deployment.submit_start(entity_id).result().json()["saga_id"]
        hold.await_call()
        with proxied.database_proxy.lose_message(what, "StepSucceeded") as loss:
            hold.release()
            loss.await_loss()

    assert deployment.outcome_of(entity_id) == undisturbed
    assert deployment.calls_in_order(saga_id) == [CREATE, PAY, CONFIRM]
    assert deployment.database.broken_event() is None


@pytest.mark.parametrize("what", LostPart)
def test_network_cut_at_the_commit_of_a_start_makes_one_saga(
    proxied: ProxiedDeployment, undisturbed: Outcome, what: LostPart
) -> None:
    deployment = proxied.deployment
    entity_id = deployment.new_order()
    with proxied.database_proxy.lose_message(what, "SagaStarted") as loss:
        answer = deployment.start(entity_id)
        loss.await_loss()

    assert (answer.status_code, answer.json()["status"]) == (200, "completed")
    assert deployment.outcome_of(entity_id) == undisturbed
    assert deployment.calls_in_order(answer.json()["saga_id"]) == [CREATE, PAY, CONFIRM]


@pytest.mark.long
def test_silent_network_blocks_no_client(proxied: ProxiedDeployment) -> None:
    deployment, entity_id = proxied.deployment, proxied.deployment.new_order()
    with proxied.database_proxy.silent():
        answer = deployment.api.post("/sagas/start", json=order_request(entity_id))
        await_not_ready(deployment)
    await_ready(deployment)

    assert_retryable_503(answer)
    assert answer.json()["code"] == "start-unconfirmed"
    wait_until(lambda: sagas_of(deployment, entity_id), "the delayed start is recorded")
    assert_all_completed_once(deployment, sagas_of(deployment, entity_id))


def sagas_of(deployment: Deployment, entity_id: int) -> list[str]:
    sagas = deployment.api.get("/sagas", params={"entity_id": entity_id}).json()["sagas"]
    return [saga["saga_id"] for saga in sagas]
