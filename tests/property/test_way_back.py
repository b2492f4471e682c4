"""Whatever compensations come to, in whatever order, with crashes and retries in between: R3, R5.

Everything was done before; the machine of `test_saga_machine.py` seldom fails to undo so much.
"""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from saga_orchestrator.fsm.definitions.definition import Definition
from saga_orchestrator.fsm.testing import ParticipantBehavior, define
from saga_orchestrator.fsm.testing.strategies import NAMES
from saga_orchestrator.tests.property.scripted_saga import CRASHES, RETRY, TURN, ScriptedSaga

FATES = [
    ParticipantBehavior.DONE,
    ParticipantBehavior.REJECTED,
    ParticipantBehavior.RESPONSE_LOST,
    ParticipantBehavior.NOT_SENT,
    ParticipantBehavior.BUSY,
]
happenings = st.lists(st.sampled_from([*FATES, CRASHES[1], RETRY]), max_size=15)


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
def test_no_order_of_failures_breaks_a_promise(definition: Definition, words: list[str]) -> None:
    story = ScriptedSaga(definition)
    story.play([*[ParticipantBehavior.DONE] * len(definition.steps), TURN])

    story.play(words)

    while story.status != "compensated":
        story.play([RETRY])
        story.come_to_rest()
