from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from saga_orchestrator.fsm.runtime import timers
from saga_orchestrator.fsm.runtime.timers import MIN_STALE_TO_COMPACT, Timers
from saga_orchestrator.tests.support.in_memory_service import NOON, TIME_LIMIT, FakeClock


class Woken:
    """Timers on a clock that stands still, and whom they woke."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.sagas: list[str] = []
        self.somebody = asyncio.Event()
        self.timers = Timers(self.clock, self.wake)

    def wake(self, saga_ids: Sequence[str]) -> None:
        self.sagas += saga_ids
        self.somebody.set()

    def set(self, saga_id: str, seconds: float | None) -> None:
        self.timers.set(saga_id, None if seconds is None else at(seconds))

    def after(self, seconds: float) -> list[str]:
        """Who is woken at that time."""
        self.clock.time, self.sagas = at(seconds), []
        assert self.timers.step() == len(self.sagas)
        return self.sagas


@pytest.fixture
def woken() -> Woken:
    return Woken()


def at(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


def test_sagas_are_woken_in_the_order_in_which_they_fall_due(woken: Woken) -> None:
    for saga_id, seconds in (("third", 3), ("first", 1), ("second", 2)):
        woken.set(saga_id, seconds)

    assert woken.after(0) == []
    assert woken.after(2) == ["first", "second"]
    assert woken.after(10) == ["third"]
    assert woken.after(20) == []


def test_new_timer_replaces_the_earlier_one(woken: Woken) -> None:
    woken.set("later", 1)
    woken.set("later", 5)
    woken.set("sooner", 5)
    woken.set("sooner", 1)

    assert woken.after(1) == ["sooner"]
    assert woken.after(4) == []
    assert woken.after(5) == ["later"]


def test_removed_timer_never_fires(woken: Woken) -> None:
    woken.set("gone", 1)
    woken.set("gone", None)
    woken.set("never there", None)

    assert woken.after(100) == []


def test_timer_may_be_set_to_the_same_time_after_it_fired(woken: Woken) -> None:
    woken.set("again", 1)

    assert woken.after(1) == ["again"]
    woken.set("again", 1)
    assert woken.after(1) == ["again"]


def test_saga_is_woken_once_however_often_its_timer_was_moved(woken: Woken) -> None:
    for seconds in (3, 1, 3, 2, 3):
        woken.set("one", seconds)

    assert woken.after(5) == ["one"]


def test_clock_that_jumps_back_delays_and_clock_that_jumps_forward_wakes(woken: Woken) -> None:
    woken.set("one", 10)

    assert woken.after(-3600) == []
    assert woken.after(3600) == ["one"]
    woken.set("two", 7200)
    assert woken.after(-3600) == []
    assert woken.after(7200) == ["two"]


def test_stale_entries_are_removed_before_they_fill_the_memory(woken: Woken) -> None:
    woken.set("stays", 1)
    for number in range(20 * MIN_STALE_TO_COMPACT):
        woken.set(f"saga {number}", 1_000_000)
        woken.set(f"saga {number}", None)

    assert len(woken.timers._heap) <= MIN_STALE_TO_COMPACT + 2
    assert woken.after(1) == ["stays"]


@given(st.integers(0, 2**32))
def test_woken_sagas_are_those_of_a_plain_table(seed: int) -> None:
    random, woken, table = Random(seed), Woken(), dict[str, float]()
    now = 0.0
    for _ in range(60):
        saga_id, seconds = f"saga {random.randrange(8)}", random.uniform(-5, 40)
        match random.randrange(3):
            case 0:
                table[saga_id] = seconds
                woken.set(saga_id, seconds)
            case 1:
                table.pop(saga_id, None)
                woken.set(saga_id, None)
            case _:
                now += random.uniform(-3, 5)
                due = sorted(
                    each_saga_id for each_saga_id, when in table.items() if at(when) <= at(now)
                )
                assert sorted(woken.after(now)) == due
                table = {
                    each_saga_id: when
                    for each_saga_id, when in table.items()
                    if each_saga_id not in due
                }


async def test_loop_notices_a_timer_that_is_earlier_than_its_nap(
    woken: Woken, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(timers, "MAX_NAP", timedelta(hours=1))
    woken.set("far", 1_000_000)
    running = asyncio.ensure_future(woken.timers.run())
    await asyncio.sleep(0)

    woken.set("now", 0)

    async with asyncio.timeout(TIME_LIMIT.total_seconds()):
        await woken.somebody.wait()
    running.cancel()
    assert woken.sagas == ["now"]


async def test_loop_wakes_when_the_wall_clock_jumps_during_its_nap(woken: Woken) -> None:
    woken.set("far", 1_000_000)
    running = asyncio.ensure_future(woken.timers.run())
    await asyncio.sleep(0)

    woken.clock.advance(timedelta(seconds=1_000_000))

    async with asyncio.timeout(TIME_LIMIT.total_seconds()):
        await woken.somebody.wait()
    running.cancel()
    assert woken.sagas == ["far"]
