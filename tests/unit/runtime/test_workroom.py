from __future__ import annotations

import asyncio
import threading

import pytest
from saga_orchestrator.fsm.runtime.workroom import QUICK, Workroom

LARGE = QUICK + 1
LONGEST = 5.0  # seconds; only a failure takes them


async def test_the_loop_goes_on_while_a_large_document_is_worked_on() -> None:
    begun, released = threading.Event(), threading.Event()

    def work() -> bool:
        begun.set()
        return released.wait(LONGEST)

    working = asyncio.create_task(Workroom().run(LARGE, work))
    assert await asyncio.to_thread(begun.wait, LONGEST)
    released.set()  # by the loop, which would not come here if it did the work itself

    assert await working is True


async def test_one_piece_is_worked_on_at_a_time() -> None:
    room, at_work, most = Workroom(), 0, 0
    first_may_end = threading.Event()

    def work(number: int) -> int:
        nonlocal at_work, most
        at_work += 1
        most = max(most, at_work)
        if number == 0:
            first_may_end.wait(LONGEST)
        at_work -= 1
        return number

    working = [asyncio.create_task(room.run(LARGE, work, number)) for number in range(3)]
    await asyncio.sleep(0)
    first_may_end.set()

    assert await asyncio.gather(*working) == [0, 1, 2]
    assert most == 1


async def test_a_small_document_is_worked_on_at_once() -> None:
    assert await Workroom().run(QUICK, threading.current_thread) is threading.main_thread()


@pytest.mark.parametrize("size", [QUICK, LARGE])
async def test_what_goes_wrong_is_raised(size: int) -> None:
    with pytest.raises(ZeroDivisionError):
        await Workroom().run(size, lambda: 1 / 0)
