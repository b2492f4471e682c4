"""R6: of two concurrent inputs one wins, and the loser changes nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Final, TypeAlias

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from saga_orchestrator.fsm.definitions.definition import Definition
from saga_orchestrator.fsm.errors import NotAllowed
from saga_orchestrator.fsm.inputs import Cancel, SendSignal, StartSaga
from saga_orchestrator.fsm.testing import ParticipantBehavior, define, violated_invariants
from saga_orchestrator.tests.property.service import SteppedService

Move: TypeAlias = Callable[[SteppedService], Awaitable[object]]
COMPLETED: Final = "SagaCompleted"
LATE: Final = "LateReplyIgnored"
FAR_AHEAD: Final = 60  # turns of the loop: longer than any decision takes


async def answer_comes(service: SteppedService) -> None:
    service.answer(service.out[0], ParticipantBehavior.DONE)


async def callback_comes(service: SteppedService) -> None:
    report = service.participants.send_callback("pay", done=True)
    await service.in_memory.orchestrator.complete_step(service.saga_id, report)


async def cancel_comes(service: SteppedService) -> None:
    await service.in_memory.orchestrator.execute(service.saga_id, Cancel())


async def signal_comes(service: SteppedService) -> None:
    await service.in_memory.orchestrator.execute(service.saga_id, SendSignal(name="approval"))


def after(time: timedelta) -> Move:
    async def time_passes(service: SteppedService) -> None:
        await service.advance(time)

    return time_passes


@dataclass(frozen=True, slots=True)
class Race:
    """Two concurrent moves after the first calls were answered; each of them wins by one event.

    With `loser_is_recorded` the first is recorded when it loses.
    """

    definition: Definition
    behaviors: list[ParticipantBehavior]
    moves: tuple[Move, Move]
    wins: tuple[str, str]
    loser_is_recorded: bool = False


RACES: Final = {
    "a deadline against the last reply": Race(
        define("book", "pay", deadline="1m"),
        [ParticipantBehavior.DONE],
        (after(timedelta(minutes=1)), answer_comes),
        ("CompensationStarted", COMPLETED),
    ),
    "a callback against its timeout": Race(
        define("book", "pay callback"),
        [ParticipantBehavior.DONE, ParticipantBehavior.ACCEPTED],
        (callback_comes, after(timedelta(minutes=15))),
        (COMPLETED, "StepUnknown"),
        loser_is_recorded=True,
    ),
    "a callback against a cancel": Race(
        define("book", "pay callback"),
        [ParticipantBehavior.DONE, ParticipantBehavior.ACCEPTED],
        (callback_comes, cancel_comes),
        (COMPLETED, "CompensationStarted"),
        loser_is_recorded=True,
    ),
    "a cancel against the completion": Race(
        define("book", "pay"),
        [ParticipantBehavior.DONE],
        (cancel_comes, answer_comes),
        ("CompensationStarted", COMPLETED),
    ),
    "a signal against its timeout": Race(
        define("book", "approve signal=approval"),
        [ParticipantBehavior.DONE],
        (signal_comes, after(timedelta(hours=24))),
        (COMPLETED, "StepRejected"),
    ),
}


@pytest.mark.parametrize("race", RACES.values(), ids=RACES.keys())
@settings(max_examples=settings().max_examples // 2)
@given(
    swapped=st.booleans(),
    head_start=st.integers(0, 12) | st.just(FAR_AHEAD),
    commit_takes=st.integers(0, 4),
)
def test_race_has_one_winner_and_the_loser_changes_nothing(
    race: Race, swapped: bool, head_start: int, commit_takes: int
) -> None:
    service = SteppedService(race.definition, commit_takes=commit_takes)

    results = asyncio.run(run(service, race, swapped=swapped, head_start=head_start))

    types = [event.type for event in service.stream]
    winners = [event_type for event_type in race.wins if event_type in types]
    assert len(winners) == 1
    assert (types[-1] == COMPLETED) == (winners == [COMPLETED])
    assert (LATE in types) == (race.loser_is_recorded and winners == [race.wins[1]])
    assert all(
        isinstance(result, NotAllowed) for result in results if isinstance(result, Exception)
    )
    if head_start == FAR_AHEAD:
        assert winners == [race.wins[swapped]]


async def run(
    service: SteppedService, race: Race, *, swapped: bool, head_start: int
) -> list[object]:
    """Return what the two moves returned; afterwards the saga runs until it rests."""
    await service.start(StartSaga(entity_id=1, input={}))
    for behavior in race.behaviors:
        service.answer(service.out[0], behavior)
        await service.settle()
    first, second = reversed(race.moves) if swapped else race.moves
    leading = asyncio.ensure_future(first(service))
    for _ in range(head_start):
        await asyncio.sleep(0)
    results = await asyncio.gather(leading, second(service), return_exceptions=True)
    await service.settle()
    assert violated_invariants(service.logged_process(), service.participants) == []
    await service.come_to_rest()
    assert violated_invariants(service.logged_process(), service.participants) == []
    return list(results)
