"""Whatever the attempts of one step come to, in whatever order, and with crashes in between.

The machine of `test_saga_machine.py` seldom stays with one step for long; this is where it does.
"""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from saga_orchestrator.fsm.command import wake_up
from saga_orchestrator.fsm.definition import Definition
from saga_orchestrator.fsm.happening import CompensationAsked, StartRequested, TimePassed
from saga_orchestrator.fsm.testing import (
    NOON,
    SAGA_ID,
    Fate,
    ParticipantsModel,
    Process,
    broken,
    define,
)
from saga_orchestrator.fsm.verb import allowed_actions

TURNS_TO_REST = 20
CASES: list[tuple[Definition, list[str]]] = [  # each with what happens before the story
    (define("pay attempts=3"), []),
    (define("pay attempts=3 status"), []),
    (define("pay attempts=3 on_reject undo_attempts=2"), []),
    (define("book", "pay callback attempts=2"), [Fate.DONE]),
    (define("pay pivot callback attempts=1", "ship"), []),
    (define("book continue", "pay attempts=3 undone_by=book"), [Fate.DONE]),
    (define("book", "pay undo_attempts=2", "ship"), [Fate.DONE, Fate.DONE, Fate.REJECTED]),
]
FATES = [one for one in Fate if one not in (Fate.DONE, Fate.TOO_LARGE, Fate.EMPTY)]
CRASHES = ["a crash before it arrives", "a crash after it arrived"]
CALLBACKS = ["a callback says no", "a callback says done"]
TURN = "somebody asks for the way back"
happenings = st.lists(st.sampled_from([*FATES, *CRASHES, *CALLBACKS, *[TURN] * 3]), max_size=8)


@settings(max_examples=3 * settings().max_examples)
@given(st.sampled_from(CASES), happenings)
def test_no_order_of_outcomes_breaks_a_promise(
    case: tuple[Definition, list[str]], story: list[str]
) -> None:
    definition, before = case
    request = StartRequested(entity_id="order-1", input={})
    process, participants = Process(definition, SAGA_ID, request, now=NOON), ParticipantsModel()
    for happening in [*before, *story]:
        happen(process, participants, happening)
        assert broken(process, participants) == []
    for _ in range(TURNS_TO_REST):
        happen(process, participants, Fate.DONE)
    assert broken(process, participants) == []
    assert process.saga.state.status.rests


def happen(process: Process, participants: ParticipantsModel, happening: str) -> None:
    """Answers are for the call that is out; people and callbacks need none."""
    now = process.saga.state.updated_at
    if happening == TURN:
        if "compensate" in allowed_actions(process.saga):
            process.happen(CompensationAsked(), now=now)
    elif happening in CALLBACKS:
        for step in participants.reportable(one.call for one in process.sent):
            process.happen(participants.report(step, done=happening == CALLBACKS[1]), now=now)
    else:
        answer(process, participants, happening)


def answer(process: Process, participants: ParticipantsModel, fate: str) -> None:
    if not process.sent and (due := wake_up(process.saga)) is not None:
        process.happen(TimePassed(), now=due)
    if not process.sent:
        return
    sent, now = process.sent[0], process.saga.state.updated_at
    if fate in CRASHES:
        participants.crash_during(sent.call, arrived=fate == CRASHES[1])
        process.crash()
    else:
        process.receive(sent, participants.answer(sent.call, Fate(fate)), now=now)
