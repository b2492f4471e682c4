"""The network between the service and its database breaks, falls silent, or loses one message."""

from __future__ import annotations

import pytest
from saga_orchestrator.examples.scenes import order
from saga_orchestrator.tests.acceptance.house import CONFIRM, CREATE, PAY, Ending, House
from saga_orchestrator.tests.acceptance.relay import Point
from saga_orchestrator.tests.acceptance.reliability.conftest import Exposed
from saga_orchestrator.tests.acceptance.reliability.load import Load, assert_not_now, assert_whole
from saga_orchestrator.tests.acceptance.reliability.signs import await_unwell, await_well
from saga_orchestrator.tests.acceptance.reliability.wire import Lost
from saga_orchestrator.tests.acceptance.waiting import until

pytestmark = pytest.mark.slow


def test_a_cut_under_load_is_told_and_outlived(exposed: Exposed) -> None:
    load = Load(exposed.house)
    with load.running():
        load.await_confirmed()
        with exposed.wire.cut():
            await_unwell(exposed.house)
            load.await_refusal()
        await_well(exposed.house)
        load.await_confirmed()

    assert_whole(exposed.house, load.confirmed)


@pytest.mark.parametrize("what", Lost)
@pytest.mark.parametrize("call", [CREATE, CONFIRM])
def test_a_cut_at_the_commit_of_an_answer_changes_nothing(
    exposed: Exposed, undisturbed: Ending, what: Lost, call: str
) -> None:
    house = exposed.house
    entity_id = house.order()
    with house.relay.hold(call, Point.EFFECT) as hold:
        saga_id = house.start_soon(entity_id).result().json()["saga_id"]
        hold.await_call()
        with exposed.wire.losing(what, "StepSucceeded") as loss:
            hold.release()
            loss.await_it()

    assert house.ending(entity_id) == undisturbed
    assert house.asked(saga_id) == [CREATE, PAY, CONFIRM]
    assert house.database.broken_event() is None


@pytest.mark.parametrize("what", Lost)
def test_a_cut_at_the_commit_of_a_start_makes_one_saga(
    exposed: Exposed, undisturbed: Ending, what: Lost
) -> None:
    house = exposed.house
    entity_id = house.order()
    with exposed.wire.losing(what, "SagaStarted") as loss:
        answer = house.start(entity_id)
        loss.await_it()

    assert (answer.status_code, answer.json()["status"]) == (200, "completed")
    assert house.ending(entity_id) == undisturbed
    assert house.asked(answer.json()["saga_id"]) == [CREATE, PAY, CONFIRM]


@pytest.mark.long
def test_a_network_that_is_silent_for_long_hangs_nobody(exposed: Exposed) -> None:
    house, entity_id = exposed.house, exposed.house.order()
    with exposed.wire.silent():
        answer = house.web.post("/sagas/start", json=order(entity_id))
        await_unwell(house)
    await_well(house)

    assert_not_now(answer)
    assert answer.json()["code"] == "start-unconfirmed"
    until(lambda: sagas_of(house, entity_id), "what was sent at last is recorded")
    assert_whole(house, sagas_of(house, entity_id))


def sagas_of(house: House, entity_id: int) -> list[str]:
    sagas = house.web.get("/sagas", params={"entity_id": entity_id}).json()["sagas"]
    return [one["saga_id"] for one in sagas]
