from __future__ import annotations

import asyncio

import pytest
from saga_orchestrator.fsm.runtime import first_moves
from saga_orchestrator.fsm.runtime.first_moves import RELEASED_AT_ONCE, FirstMoves


async def waiting(moves: FirstMoves, sagas: int = 1) -> list[asyncio.Task[None]]:
    tasks = [asyncio.create_task(moves.over()) for _ in range(sagas)]
    await asyncio.sleep(0)
    return tasks


async def test_moves_are_over_once_every_expected_saga_has_made_its_own() -> None:
    moves = FirstMoves()
    moves.expect(["a", "b"])
    (second_move,) = await waiting(moves)

    moves.made("a")
    moves.made("a")
    moves.made("not expected")
    await asyncio.sleep(0)
    assert not second_move.done()

    moves.made("b")
    await second_move
    assert moves.are_over


async def test_a_saga_of_another_node_is_not_waited_for() -> None:
    moves = FirstMoves()
    moves.expect(["a", "b"])
    (second_move,) = await waiting(moves)

    moves.drop(lambda saga_id: saga_id == "a")
    moves.made("b")

    await second_move


async def test_waiting_sagas_go_on_a_portion_at_a_time() -> None:
    moves = FirstMoves()
    moves.expect(["a"])
    tasks = await waiting(moves, 2 * RELEASED_AT_ONCE + 1)

    moves.made("a")
    done = list[int]()
    while len(done) < 3:
        await asyncio.sleep(0)
        done.append(sum(one.done() for one in tasks))

    assert done == [RELEASED_AT_ONCE, 2 * RELEASED_AT_ONCE, 2 * RELEASED_AT_ONCE + 1]


@pytest.mark.parametrize(("made", "are_over"), [(3, True), (4, False)])
async def test_moves_are_waited_for_as_long_as_enough_of_them_are_made(
    made: int, are_over: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(first_moves, "FEWEST_MOVES", 4)
    moves = FirstMoves()
    moves.expect(str(number) for number in range(made + 1))
    for number in range(made):
        moves.made(str(number))

    moves.look()

    assert moves.are_over == are_over
