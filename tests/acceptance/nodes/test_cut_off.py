"""The network between one node and the database is cut: it says so, and says nothing stale; its
sagas go on in the other, and it comes back by itself."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from datetime import timedelta

import httpx
import pytest
from saga_orchestrator.tests.acceptance.house import PAY, Ending, House
from saga_orchestrator.tests.acceptance.nodes.fix_cluster import Far
from saga_orchestrator.tests.acceptance.relay import Point
from saga_orchestrator.tests.acceptance.reliability.load import (
    Load,
    assert_not_now,
    assert_whole,
)
from saga_orchestrator.tests.acceptance.reliability.signs import await_unwell, await_well, readiness
from saga_orchestrator.tests.acceptance.waiting import until

pytestmark = pytest.mark.slow

MANY = 10
VERBS = ("pause", "retry", "cancel", "compensate", "signals/approval", "steps/create_order/skip")
IMPATIENT = timedelta(milliseconds=500)


def test_a_node_that_is_cut_off_says_nothing_stale_and_its_sagas_go_on_in_the_other(
    far: Far, undisturbed: Ending
) -> None:
    house, nodes = far.house, far.nodes
    orders = [house.order() for _ in range(MANY)]
    done = len(nodes.completed())
    with house.relay.hold(PAY, Point.EFFECT) as hold:
        house.start_all(orders)
        sagas = [house.saga_id(one) for one in orders]
        hold.await_calls(MANY)
        with far.wire.cut():
            await_unwell(house)
            nodes.await_shares(64)
            for one in sagas:
                assert_not_now(house.web.get(f"/sagas/{one}/status"))
            hold.release()
            until(lambda: len(nodes.completed()) == done + MANY, "all are completed by the other")
            until(lambda: refuses_at_once(house, sagas[0]), "the log is known to be silent")
            for verb in VERBS:
                assert_not_now(house.web.post(f"/sagas/{sagas[0]}/{verb}", json={}))
            for one in sagas:
                assert_not_now(house.web.get(f"/sagas/{one}/status"))
        until(lambda: is_back(house, sagas), "it is back")
    nodes.await_shares(32, 32)
    nodes.await_ready()

    assert [house.ending(one) for one in orders] == [undisturbed] * MANY
    assert house.database.broken_event() is None
    assert house.examination().violations == []


def test_a_node_that_is_cut_off_and_back_under_load_loses_and_doubles_nothing(far: Far) -> None:
    house, load = far.house, Load(far.house)
    with load.running():
        load.await_confirmed()
        with far.wire.cut():
            await_unwell(house)
            far.nodes.await_shares(64)
            load.await_refusal()
        await_well(house)
        far.nodes.await_shares(32, 32)
        far.nodes.await_ready()
        load.await_confirmed()

    assert_whole(house, load.confirmed)
    assert house.examination().violations == []


def refuses_at_once(house: House, saga_id: str) -> bool:
    """Who asked before the silence was noticed is kept waiting, and does not wait for it here."""
    with suppress(httpx.ReadTimeout):
        path, limit = f"/sagas/{saga_id}/signals/nobody-waits", IMPATIENT.total_seconds()
        return house.web.post(path, json={}, timeout=limit).status_code == 503
    return False


def is_back(house: House, sagas: Sequence[str]) -> bool:
    told = [tells_of_its_end(house, one) for one in sagas]
    return all(told) and readiness(house).is_success


def tells_of_its_end(house: House, saga_id: str) -> bool:
    """Of a saga that is completed nothing else may be told."""
    answer = house.web.get(f"/sagas/{saga_id}/status")
    if answer.is_success:
        assert answer.json()["status"] == "completed"
    return answer.is_success
