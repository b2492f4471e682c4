"""Kills that come in a row, in the middle of a recovery, under load, and ahead of their own
appends."""

from __future__ import annotations

import pytest
from saga_orchestrator.tests.acceptance.database import frozen_processes
from saga_orchestrator.tests.acceptance.deployment import CONFIRM, CREATE, PAY, Deployment, Outcome
from saga_orchestrator.tests.acceptance.recording_proxy import HoldPoint
from saga_orchestrator.tests.support.waiting import wait_until

pytestmark = pytest.mark.slow

MANY = 100
AT_A_TIME = 64  # SAGA_CALLS_PER_PARTICIPANT by default


def test_two_kills_at_the_same_call_do_not_change_the_outcome(
    house: Deployment, undisturbed: Outcome
) -> None:
    entity_id = house.new_order()
    with house.proxy.hold(PAY, HoldPoint.EFFECT) as hold:
        house.submit_start(entity_id)
        hold.await_call()
        house.service.kill()
    with house.proxy.hold(PAY, HoldPoint.EFFECT) as hold:
        house.service.start()
        hold.await_call()
        house.service.kill()

    house.service.start()

    assert house.outcome_of(entity_id) == undisturbed
    assert house.calls_in_order(house.saga_id(entity_id)) == [CREATE, PAY, PAY, PAY, CONFIRM]
    assert house.run_doctor().violations == []


def test_kill_while_shards_are_claimed_does_not_change_the_outcome(
    house: Deployment, undisturbed: Outcome
) -> None:
    entity_id = house.new_order()
    with house.proxy.hold(PAY, HoldPoint.EFFECT) as hold:
        house.submit_start(entity_id)
        hold.await_call()
        house.service.kill()
    with house.database.locked() as lock:
        house.service.launch()
        claiming = house.database.await_blocked_writers()
        house.service.kill()
        lock.release()
        house.database.await_end_of(claiming)

    house.service.start()

    assert house.outcome_of(entity_id) == undisturbed
    assert house.calls_in_order(house.saga_id(entity_id)) == [CREATE, PAY, PAY, CONFIRM]
    assert house.run_doctor().violations == []


def test_kill_during_recovery_does_not_change_the_outcome(
    house: Deployment, undisturbed: Outcome
) -> None:
    orders = [house.new_order() for _ in range(5)]
    with house.proxy.hold(CREATE, HoldPoint.EFFECT) as hold:
        house.start_all(orders)
        hold.await_calls(len(orders))
        house.service.kill()
    with house.proxy.hold(CREATE, HoldPoint.ARRIVAL) as hold:
        house.service.launch()
        hold.await_call()
        house.service.kill()

    house.service.start()

    assert [house.outcome_of(one) for one in orders] == [undisturbed] * len(orders)
    assert house.run_doctor().violations == []


def test_hundred_sagas_in_flight_survive_a_kill(house: Deployment, undisturbed: Outcome) -> None:
    orders = [house.new_order() for _ in range(MANY)]
    with house.proxy.hold(PAY, HoldPoint.EFFECT) as hold:
        house.start_all(orders)
        hold.await_calls(AT_A_TIME)
        house.service.kill()

    house.service.start()

    assert [house.outcome_of(one) for one in orders] == [undisturbed] * MANY
    assert house.run_doctor().violations == []
    assert house.api.get("/audit/verify").json()["valid"] is True


def test_blocked_append_of_a_dead_service_does_not_delay_its_successor(
    house: Deployment, undisturbed: Outcome
) -> None:
    entity_id = house.new_order()
    with house.proxy.hold(CREATE, HoldPoint.EFFECT) as hold, house.successor() as heir:
        saga_id = house.submit_start(entity_id).result().json()["saga_id"]
        hold.await_call()
        with house.database.migrations_locked() as start, house.database.locked() as lock:
            heir.launch()
            house.database.await_blocked_migration()
            hold.release()
            open_append = house.database.await_blocked_writers()
            house.service.kill()
            start.release()
            house.database.await_end_of(open_append)
            lock.release()
        wait_until(
            lambda: "SagaCompleted" in house.database.event_types(saga_id), "the heir completes it"
        )

    house.service.start()

    assert house.outcome_of(entity_id) == undisturbed
    assert house.calls_in_order(saga_id) == [CREATE, CREATE, PAY, CONFIRM]
    assert house.run_doctor().violations == []


def test_append_of_a_dead_service_after_the_claim_is_refused(
    house: Deployment, undisturbed: Outcome
) -> None:
    entity_id = house.new_order()
    with house.proxy.hold(CREATE, HoldPoint.EFFECT) as hold:
        house.submit_start(entity_id)
        hold.await_call()
        with house.database.locked() as lock:
            hold.release()
            zombie = house.database.await_blocked_writers()
            with frozen_processes(zombie):
                house.service.kill()
                lock.release()
                house.service.start()
                ending = house.outcome_of(entity_id)
    house.database.await_end_of(zombie)

    assert ending == undisturbed
    assert house.outcome_of(entity_id) == undisturbed
    assert house.calls_in_order(house.saga_id(entity_id)) == [CREATE, CREATE, PAY, CONFIRM]
    assert house.run_doctor().violations == []
