from __future__ import annotations

import asyncio

from saga_orchestrator.fsm.runtime.live import Condition, Live, rests
from saga_orchestrator.fsm.saga import Saga
from saga_orchestrator.fsm.testing import DONE, REJECTED, answered, define, given

NOBODY = given(define("book", "pay")).saga
BOOKED = given(define("book", "pay")).when(answered("book", DONE)).saga
AT_REST = given(define("book")).when(answered("book", REJECTED)).saga


def until(live: Live, condition: Condition) -> asyncio.Future[Saga]:
    return live.until(condition, asyncio.get_running_loop())


async def test_who_waits_for_what_is_already_so_does_not_wait() -> None:
    live = Live(AT_REST)

    assert await until(live, rests) is AT_REST


async def test_who_waits_is_told_of_the_first_saga_that_fits() -> None:
    live = Live(NOBODY)
    booked, resting = until(live, lambda saga: saga.state.version >= 4), until(live, rests)

    live.move_to(BOOKED)

    assert booked.result() is BOOKED
    assert not resting.done()
    live.move_to(AT_REST)
    assert resting.result() is AT_REST


async def test_who_gave_up_waiting_does_not_disturb_the_others() -> None:
    live = Live(NOBODY)
    gone, there = until(live, rests), until(live, rests)
    gone.cancel()

    live.move_to(AT_REST)

    assert there.result() is AT_REST


async def test_who_is_released_gets_the_newest_saga() -> None:
    live = Live(NOBODY)
    waiting = [until(live, rests) for _ in range(3)]
    live.move_to(BOOKED)

    live.release()

    assert await asyncio.gather(*waiting) == [BOOKED] * 3
    live.move_to(AT_REST)
    assert live.saga is AT_REST


def test_the_sagas_of_these_tests_are_what_they_say() -> None:
    def told(saga: Saga) -> tuple[str, int]:
        return saga.state.status, saga.state.version

    assert [told(NOBODY), told(BOOKED)] == [("running", 2), ("running", 4)]
    assert rests(AT_REST)
