"""Kills that come in a row, in the middle of a recovery, under load, and ahead of their own
appends."""

from __future__ import annotations

import pytest
from saga_orchestrator.tests.acceptance.database import frozen_processes
from saga_orchestrator.tests.acceptance.deployment import CONFIRM, CREATE, PAY, Deployment, Outcome
from saga_orchestrator.tests.acceptance.recording_proxy import HoldPoint
from saga_orchestrator.tests.support.waiting import wait_until

pytestmark = pytest.mark.slow


def test_two_kills_at_the_same_call_do_not_change_the_outcome(
    deployment: Deployment, undisturbed: Outcome
) -> None:
    entity_id = deployment.new_order()
    with deployment.proxy.hold(PAY, HoldPoint.EFFECT) as hold:
        deployment.submit_start(entity_id)
        hold.await_call()
        deployment.service.kill()
    with deployment.proxy.hold(PAY, HoldPoint.EFFECT) as hold:
        deployment.service.start()
        hold.await_call()
        deployment.service.kill()

    deployment.service.start()

    assert deployment.outcome_of(entity_id) == undisturbed
    assert deployment.calls_in_order(deployment.saga_id(entity_id)) == [
        CREATE,
        PAY,
        PAY,
        PAY,
        CONFIRM,
    ]
    assert deployment.run_doctor().violations == []


def test_kill_while_shards_are_claimed_does_not_change_the_outcome(
    deployment: Deployment, undisturbed: Outcome
) -> None:
    entity_id = deployment.new_order()
    with deployment.proxy.hold(PAY, HoldPoint.EFFECT) as hold:
        deployment.submit_start(entity_id)
        hold.await_call()
        deployment.service.kill()
    with deployment.database.locked() as lock:
        deployment.service.launch()
        claiming = deployment.database.await_blocked_writers()
        deployment.service.kill()
        lock.release()
        deployment.database.await_end_of(claiming)

    deployment.service.start()

    assert deployment.outcome_of(entity_id) == undisturbed
    assert deployment.calls_in_order(deployment.saga_id(entity_id)) == [CREATE, PAY, PAY, CONFIRM]
    assert deployment.run_doctor().violations == []


def test_kill_during_recovery_does_not_change_the_outcome(
    deployment: Deployment, undisturbed: Outcome
) -> None:
    orders = [deployment.new_order() for _ in range(5)]
    with deployment.proxy.hold(CREATE, HoldPoint.EFFECT) as hold:
        deployment.start_all(orders)
        hold.await_calls(len(orders))
        deployment.service.kill()
    with deployment.proxy.hold(CREATE, HoldPoint.ARRIVAL) as hold:
        deployment.service.launch()
        hold.await_call()
        deployment.service.kill()

    deployment.service.start()

    assert [deployment.outcome_of(order) for order in orders] == [undisturbed] * len(orders)
    assert deployment.run_doctor().violations == []


def test_blocked_append_of_a_dead_service_does_not_delay_its_successor(
    deployment: Deployment, undisturbed: Outcome
) -> None:
    entity_id = deployment.new_order()
    with deployment.proxy.hold(CREATE, HoldPoint.EFFECT) as hold, deployment.successor() as heir:
        saga_id = deployment.submit_start(entity_id).result().json()["saga_id"]
        hold.await_call()
        with deployment.database.migrations_locked() as start, deployment.database.locked() as lock:
            heir.launch()
            deployment.database.await_blocked_migration()
            hold.release()
            open_append = deployment.database.await_blocked_writers()
            deployment.service.kill()
            start.release()
            deployment.database.await_end_of(open_append)
            lock.release()
        wait_until(
            lambda: "SagaCompleted" in deployment.database.event_types(saga_id),
            "the heir completes it",
        )

    deployment.service.start()

    assert deployment.outcome_of(entity_id) == undisturbed
    assert deployment.calls_in_order(saga_id) == [CREATE, CREATE, PAY, CONFIRM]
    assert deployment.run_doctor().violations == []


def test_append_of_a_dead_service_after_the_claim_is_refused(
    deployment: Deployment, undisturbed: Outcome
) -> None:
    entity_id = deployment.new_order()
    with deployment.proxy.hold(CREATE, HoldPoint.EFFECT) as hold:
        deployment.submit_start(entity_id)
        hold.await_call()
        with deployment.database.locked() as lock:
            hold.release()
            zombie = deployment.database.await_blocked_writers()
            with frozen_processes(zombie):
                deployment.service.kill()
                lock.release()
                deployment.service.start()
                ending = deployment.outcome_of(entity_id)
    deployment.database.await_end_of(zombie)

    assert ending == undisturbed
    assert deployment.outcome_of(entity_id) == undisturbed
    assert deployment.calls_in_order(deployment.saga_id(entity_id)) == [
        CREATE,
        CREATE,
        PAY,
        CONFIRM,
    ]
    assert deployment.run_doctor().violations == []
