from __future__ import annotations

import asyncio
from functools import partial

from saga_orchestrator.fsm.runtime.shared_alarm import SharedAlarm

SECONDS = 0.01
ENOUGH_SECONDS = 5.0


async def test_it_rings_for_each_in_turn_and_not_before_its_time() -> None:
    loop, rung = asyncio.get_running_loop(), list[tuple[str, float]]()
    alarm, last = SharedAlarm(SECONDS), asyncio.Event()

    def note(who: str, since: float) -> None:
        rung.append((who, loop.time() - since))
        if who == "second":
            last.set()

    alarm.set("first", partial(note, "first", loop.time()))
    await asyncio.sleep(SECONDS / 2)
    alarm.set("second", partial(note, "second", loop.time()))
    async with asyncio.timeout(ENOUGH_SECONDS):
        await last.wait()

    assert [who for who, _ in rung] == ["first", "second"]
    assert all(after >= SECONDS for _, after in rung)


async def test_who_is_cleared_is_not_rung_for_and_the_others_are() -> None:
    alarm, rung = SharedAlarm(SECONDS), asyncio.Event()

    alarm.set("gone", lambda: 1 / 0)
    alarm.set("there", rung.set)
    in_time = alarm.clear("gone")
    async with asyncio.timeout(ENOUGH_SECONDS):
        await rung.wait()

    assert in_time
    assert not alarm.clear("there")


async def test_it_rings_again_for_who_comes_after_a_silence() -> None:
    alarm = SharedAlarm(SECONDS)

    async with asyncio.timeout(ENOUGH_SECONDS):
        for _ in range(2):
            rung = asyncio.Event()
            alarm.set("one", rung.set)
            await rung.wait()
