"""R1, R7: what repeats without news is not recorded each time, and yet nothing is lost by that."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from saga_orchestrator.fsm.definitions.definition import Definition
from saga_orchestrator.fsm.testing import ParticipantBehavior, define
from saga_orchestrator.tests.property.scripted_saga import (
    CRASHES,
    PAUSE,
    RESUME,
    RETRY,
    TURN,
    ScriptedSaga,
)

DEFINITIONS = [
    define("book", "pay pivot"),
    define("book after=", "pay after=", "ship after=book,pay"),
    define("book status attempts=9", "pay"),
]
AGAIN = [
    ParticipantBehavior.BUSY,
    ParticipantBehavior.THROTTLED,
    ParticipantBehavior.THROTTLED,
    ParticipantBehavior.THROTTLED,
]
NEWS = [
    ParticipantBehavior.DONE,
    ParticipantBehavior.RESPONSE_LOST,
    ParticipantBehavior.REJECTED,
    TURN,
    PAUSE,
    RESUME,
    RETRY,
    *CRASHES,
]


@settings(max_examples=3 * settings().max_examples)
@given(
    st.sampled_from(DEFINITIONS),
    st.lists(
        st.tuples(st.sampled_from(AGAIN), st.integers(1, 9), st.sampled_from(NEWS)), max_size=4
    ),
)
def test_no_repetition_breaks_a_promise(
    definition: Definition, rounds: list[tuple[str, int, str]]
) -> None:
    story = ScriptedSaga(definition)

    for again, times, news in rounds:
        story.play([*[again] * times, news])

    story.come_to_rest()
