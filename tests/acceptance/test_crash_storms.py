"""Kills that come in a row, in the middle of a recovery, under load, and ahead of their own
appends."""

from __future__ import annotations

import pytest
from saga_orchestrator.tests.acceptance.database import frozen
from saga_orchestrator.tests.acceptance.house import CONFIRM, CREATE, PAY, Ending, House
from saga_orchestrator.tests.acceptance.relay import Point
from saga_orchestrator.tests.acceptance.waiting import until

pytestmark = pytest.mark.slow

MANY = 100
AT_A_TIME = 64  # SAGA_CALLS_PER_PARTICIPANT by default


def test_two_kills_in_a_row_at_the_same_call_change_nothing(
    house: House, undisturbed: Ending
) -> None:
    entity_id = house.order()
    with house.relay.hold(PAY, Point.EFFECT) as hold:
        house.start_soon(entity_id)
        hold.await_call()
        house.service.kill()
    with house.relay.hold(PAY, Point.EFFECT) as hold:
        house.service.start()
        hold.await_call()
        house.service.kill()

    house.service.start()

    assert house.ending(entity_id) == undisturbed
    assert house.asked(house.saga_id(entity_id)) == [CREATE, PAY, PAY, PAY, CONFIRM]
    assert house.examination().violations == []


def test_a_kill_while_the_log_is_claimed_again_changes_nothing(
    house: House, undisturbed: Ending
) -> None:
    entity_id = house.order()
    with house.relay.hold(PAY, Point.EFFECT) as hold:
        house.start_soon(entity_id)
        hold.await_call()
        house.service.kill()
    with house.database.locked() as lock:
        house.service.launch()
        claiming = house.database.await_blocked_writers()
        house.service.kill()
        lock.release()
        house.database.await_end_of(claiming)

    house.service.start()

    assert house.ending(entity_id) == undisturbed
    assert house.asked(house.saga_id(entity_id)) == [CREATE, PAY, PAY, CONFIRM]
    assert house.examination().violations == []


def test_a_kill_while_sagas_are_resumed_changes_nothing(house: House, undisturbed: Ending) -> None:
    orders = [house.order() for _ in range(5)]
    with house.relay.hold(CREATE, Point.EFFECT) as hold:
        house.start_all(orders)
        hold.await_calls(len(orders))
        house.service.kill()
    with house.relay.hold(CREATE, Point.ARRIVAL) as hold:
        house.service.launch()
        hold.await_call()
        house.service.kill()

    house.service.start()

    assert [house.ending(one) for one in orders] == [undisturbed] * len(orders)
    assert house.examination().violations == []


def test_a_hundred_sagas_in_flight_survive_a_kill(house: House, undisturbed: Ending) -> None:
    orders = [house.order() for _ in range(MANY)]
    with house.relay.hold(PAY, Point.EFFECT) as hold:
        house.start_all(orders)
        hold.await_calls(AT_A_TIME)
        house.service.kill()

    house.service.start()

    assert [house.ending(one) for one in orders] == [undisturbed] * MANY
    assert house.examination().violations == []
    assert house.web.get("/audit/verify").json()["valid"] is True


def test_an_append_of_the_dead_that_still_waits_holds_up_nobody(
    house: House, undisturbed: Ending
) -> None:
    entity_id = house.order()
    with house.relay.hold(CREATE, Point.EFFECT) as hold, house.heir() as heir:
        saga_id = house.start_soon(entity_id).result().json()["saga_id"]
        hold.await_call()
        with house.database.starts_held() as start, house.database.locked() as lock:
            heir.launch()
            house.database.await_held_start()
            hold.release()
            open_append = house.database.await_blocked_writers()
            house.service.kill()
            start.release()
            house.database.await_end_of(open_append)
            lock.release()
        until(lambda: "SagaCompleted" in house.database.types_of(saga_id), "the heir completes it")

    house.service.start()

    assert house.ending(entity_id) == undisturbed
    assert house.asked(saga_id) == [CREATE, CREATE, PAY, CONFIRM]
    assert house.examination().violations == []


def test_an_append_of_the_dead_that_comes_after_the_claim_is_refused(
    house: House, undisturbed: Ending
) -> None:
    entity_id = house.order()
    with house.relay.hold(CREATE, Point.EFFECT) as hold:
        house.start_soon(entity_id)
        hold.await_call()
        with house.database.locked() as lock:
            hold.release()
            zombie = house.database.await_blocked_writers()
            with frozen(zombie):
                house.service.kill()
                lock.release()
                house.service.start()
                ending = house.ending(entity_id)
    house.database.await_end_of(zombie)

    assert ending == undisturbed
    assert house.ending(entity_id) == undisturbed
    assert house.asked(house.saga_id(entity_id)) == [CREATE, CREATE, PAY, CONFIRM]
    assert house.examination().violations == []
