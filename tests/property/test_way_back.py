"""R3, R5: compensations with any outcomes in any order, with crashes and retries in between.

Every step was done before; in `test_saga_machine.py` so many compensations seldom fail.
"""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from saga_orchestrator.fsm.definitions.definition import Definition
from saga_orchestrator.fsm.testing import ParticipantBehavior, define
from saga_orchestrator.fsm.testing.strategies import NAMES
from saga_orchestrator.tests.property.scripted_saga import COMPENSATE, CRASHES, RETRY, ScriptedSaga

BEHAVIORS = [
    ParticipantBehavior.DONE,
    ParticipantBehavior.REJECTED,
    ParticipantBehavior.RESPONSE_LOST,
    ParticipantBehavior.NOT_SENT,
    ParticipantBehavior.BUSY,
]
happenings = st.lists(st.sampled_from([*BEHAVIORS, CRASHES[1], RETRY]), max_size=15)


@st.composite
def trips(draw: st.DrawFn) -> Definition:
    """Draw definitions whose steps all have a compensation, with its own policy and attempts."""
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
def test_failed_compensations_violate_no_invariant(
    definition: Definition, words: list[str]
) -> None:
    scripted = ScriptedSaga(definition)
    scripted.play([*[ParticipantBehavior.DONE] * len(definition.steps), COMPENSATE])

    scripted.play(words)

    while scripted.status != "compensated":
        scripted.play([RETRY])
        scripted.come_to_rest()
