"""Whatever the attempts of one step come to, in whatever order, and with crashes in between.

The machine of `test_saga_machine.py` seldom stays with one step for long; this is where it does.
"""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from saga_orchestrator.fsm.command import wake_up
from saga_orchestrator.fsm.definition import Definition
from saga_orchestrator.fsm.happening import StartRequested, TimePassed
from saga_orchestrator.fsm.testing import (
    NOON,
    SAGA_ID,
    Fate,
    ParticipantsModel,
    Process,
    broken,
    define,
)

CASES: list[tuple[Definition, list[str]]] = [  # each with what happens before the story
    (define("pay attempts=3"), []),
    (define("pay attempts=3 status"), []),
    (define("pay attempts=3 on_reject undo_attempts=2"), []),
    (define("book continue", "pay attempts=3 undone_by=book"), [Fate.DONE]),
    (define("book", "pay undo_attempts=2", "ship"), [Fate.DONE, Fate.DONE, Fate.REJECTED]),
]
FATES = [Fate.LOST, Fate.NOT_SENT, Fate.THROTTLED, Fate.REJECTED, Fate.BUSY, Fate.LOST_BEFORE]
CRASHES = ["a crash before it arrives", "a crash after it arrived"]
happenings = st.lists(st.sampled_from([*FATES, *CRASHES]), max_size=8)


@settings(max_examples=3 * settings().max_examples)
@given(st.sampled_from(CASES), happenings)
def test_no_order_of_outcomes_breaks_a_promise(
    case: tuple[Definition, list[str]], story: list[str]
) -> None:
    definition, before = case
    request = StartRequested(entity_id="order-1", input={})
    process, participants = Process(definition, SAGA_ID, request, now=NOON), ParticipantsModel()
    for happening in [*before, *story, *[Fate.DONE] * 20]:
        happen(process, participants, happening)
        assert broken(process, participants) == []
    assert process.saga.state.status.rests


def happen(process: Process, participants: ParticipantsModel, happening: str) -> None:
    """To the call that is out; if none is, after the next wait."""
    if not process.sent and (due := wake_up(process.saga)) is not None:
        process.happen(TimePassed(), now=due)
    if not process.sent:
        return
    sent, now = process.sent[0], process.saga.state.updated_at
    if happening in CRASHES:
        participants.crash_during(sent.call, arrived=happening == CRASHES[1])
        process.crash()
    else:
        process.receive(sent, participants.answer(sent.call, Fate(happening)), now=now)
