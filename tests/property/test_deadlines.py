"""R4: whoever asks for the way back, person or deadline, gets it until a pivot is passed.

After that the saga only goes forward, and while nobody knows of the pivot both wait.
"""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from saga_orchestrator.fsm.definitions.definition import Definition
from saga_orchestrator.fsm.testing import ParticipantBehavior, define
from saga_orchestrator.tests.property.scripted_saga import (
    CALLBACKS,
    CRASHES,
    DEADLINE,
    PAUSE,
    RESUME,
    RETRY,
    TURN,
    ScriptedSaga,
)

DEFINITIONS = [
    define("book", "pay", "ship", deadline="5s"),
    define("book", "pay pivot attempts=2", "ship attempts=2", deadline="5s"),
    define("book", "pay pivot callback attempts=2", "ship", deadline="5s"),
    define("book after=", "pay pivot after= attempts=2", "ship after=book,pay", deadline="5s"),
]
ASKED_ABOUT = define("book", "pay pivot status attempts=3", "ship", deadline="5s")
FATES = [
    *(
        ParticipantBehavior.DONE,
        ParticipantBehavior.DONE,
        ParticipantBehavior.DONE,
        ParticipantBehavior.RESPONSE_LOST,
        ParticipantBehavior.REQUEST_LOST,
        ParticipantBehavior.NOT_SENT,
    ),
    *(
        ParticipantBehavior.REJECTED,
        ParticipantBehavior.ACCEPTED,
        ParticipantBehavior.THROTTLED,
        ParticipantBehavior.BUSY,
    ),
]
BESIDES = [DEADLINE, DEADLINE, TURN, PAUSE, RESUME, RETRY, CRASHES[1], *CALLBACKS]


@settings(max_examples=5 * settings().max_examples)
@given(st.sampled_from(DEFINITIONS), st.lists(st.sampled_from([*FATES, *BESIDES]), max_size=10))
def test_no_deadline_and_no_request_breaks_a_promise(
    definition: Definition, words: list[str]
) -> None:
    story = ScriptedSaga(definition)

    story.play(words)

    story.come_to_rest()


@given(
    st.lists(
        st.sampled_from(
            [ParticipantBehavior.DONE, ParticipantBehavior.REQUEST_LOST, TURN, DEADLINE]
        ),
        max_size=6,
    )
)
def test_nor_where_the_participant_is_asked_about_its_pivot(words: list[str]) -> None:
    story = ScriptedSaga(ASKED_ABOUT)

    story.play(words)

    story.come_to_rest()
