"""Whatever compensations come to, in whatever order, with crashes and retries in between: R3, R5.

Everything was done before; the machine of `test_saga_machine.py` seldom fails to undo so much.
"""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from saga_orchestrator.fsm.command import wake_up
from saga_orchestrator.fsm.definition import Definition
from saga_orchestrator.fsm.happening import (
    CompensationAsked,
    RetryAsked,
    StartRequested,
    TimePassed,
)
from saga_orchestrator.fsm.testing import (
    NOON,
    SAGA_ID,
    Fate,
    ParticipantsModel,
    Process,
    broken,
    define,
)
from saga_orchestrator.fsm.testing.strategies import NAMES

CRASH, RETRY = "a crash", "somebody asks for another try"
FATES = [Fate.DONE, Fate.REJECTED, Fate.LOST, Fate.NOT_SENT, Fate.BUSY]
happenings = st.lists(st.sampled_from([*FATES, CRASH, RETRY]), max_size=15)


@st.composite
def trips(draw: st.DrawFn) -> Definition:
    """Each step has a compensation, with a policy and attempts of its own."""
    names = NAMES[: draw(st.integers(1, 4))]
    return define(*(draw(_steps(name, names[:number])) for number, name in enumerate(names)))


@st.composite
def _steps(draw: st.DrawFn, name: str, earlier: tuple[str, ...]) -> str:
    policy = draw(st.sampled_from(["continue", ""]))
    alone = draw(st.integers(0, 3)) == 3
    after = "after=" if alone else f"after={','.join(earlier[-1:])}"
    return f"{name} {policy} attempts=5 undo_attempts={draw(st.integers(1, 3))} {after}"


@settings(max_examples=3 * settings().max_examples)
@given(trips(), happenings)
def test_no_order_of_failures_breaks_a_promise(definition: Definition, story: list[str]) -> None:
    process = Process(definition, SAGA_ID, StartRequested(entity_id=1, input={}), now=NOON)
    participants = ParticipantsModel()
    for _ in definition.steps:
        happen(process, participants, Fate.DONE)
    process.happen(CompensationAsked(), now=NOON)

    for happening in story:
        happen(process, participants, happening)
        assert broken(process, participants) == []

    while process.saga.state.status != "compensated":
        happen(process, participants, RETRY if process.saga.state.status.rests else Fate.DONE)
    assert broken(process, participants) == []


def happen(process: Process, participants: ParticipantsModel, happening: str) -> None:
    """To the call that is out; if none is, after the next wait."""
    now = process.saga.state.updated_at
    if happening == RETRY:
        if process.saga.state.status == "parked":
            process.happen(RetryAsked(), now=now)
        return
    if not process.sent and (due := wake_up(process.saga)) is not None:
        process.happen(TimePassed(), now=due)
    if not process.sent:
        return
    sent = process.sent[0]
    if happening == CRASH:
        participants.crash_during(sent.call, arrived=True)
        process.crash()
    else:
        process.receive(sent, participants.answer(sent.call, Fate(happening)), now=now)
