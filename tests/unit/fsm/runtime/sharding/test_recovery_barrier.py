from __future__ import annotations

import asyncio

import pytest
from saga_orchestrator.fsm.runtime.sharding import recovery_barrier as first_moves
from saga_orchestrator.fsm.runtime.sharding.recovery_barrier import (
    MAX_RELEASED_AT_ONCE,
    RecoveryBarrier,
)


async def waiting(moves: RecoveryBarrier, sagas: int = 1) -> list[asyncio.Task[None]]:
    tasks = [asyncio.create_task(moves.wait()) for _ in range(sagas)]
    await asyncio.sleep(0)
    return tasks


async def test_barrier_opens_once_every_expected_saga_has_arrived() -> None:
    moves = RecoveryBarrier()
    moves.expect(["a", "b"])
    (second_move,) = await waiting(moves)

    moves.arrive("a")
    moves.arrive("a")
    moves.arrive("not expected")
    await asyncio.sleep(0)
    assert not second_move.done()

    moves.arrive("b")
    await second_move
    assert moves.is_open


async def test_discarded_saga_is_not_expected() -> None:
    moves = RecoveryBarrier()
    moves.expect(["a", "b"])
    (second_move,) = await waiting(moves)

    moves.discard(lambda saga_id: saga_id == "a")
    moves.arrive("b")

    await second_move


async def test_waiting_sagas_are_released_in_batches() -> None:
    moves = RecoveryBarrier()
    moves.expect(["a"])
    tasks = await waiting(moves, 2 * MAX_RELEASED_AT_ONCE + 1)

    moves.arrive("a")
    done = list[int]()
    while len(done) < 3:
        await asyncio.sleep(0)
        done.append(sum(task.done() for task in tasks))

    assert done == [MAX_RELEASED_AT_ONCE, 2 * MAX_RELEASED_AT_ONCE, 2 * MAX_RELEASED_AT_ONCE + 1]


@pytest.mark.parametrize(("made", "are_over"), [(3, True), (4, False)])
async def test_barrier_stays_closed_while_enough_sagas_arrive(
    made: int, are_over: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(first_moves, "MIN_ARRIVALS_PER_CHECK", 4)
    moves = RecoveryBarrier()
    moves.expect(str(number) for number in range(made + 1))
    for number in range(made):
        moves.arrive(str(number))

    moves.check_progress()

    assert moves.is_open == are_over
