"""R1, R7: repetitions without news are not all recorded, and nothing is lost by that."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from saga_orchestrator.fsm.definitions.definition import Definition
from saga_orchestrator.fsm.testing import ParticipantBehavior, define
from saga_orchestrator.tests.property.scripted_saga import (
    COMPENSATE,
    CRASHES,
    PAUSE,
    RESUME,
    RETRY,
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
    COMPENSATE,
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
def test_repetitions_violate_no_invariant(
    definition: Definition, rounds: list[tuple[str, int, str]]
) -> None:
    scripted = ScriptedSaga(definition)

    for again, times, news in rounds:
        scripted.play([*[again] * times, news])

    scripted.come_to_rest()
