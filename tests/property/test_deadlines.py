"""R4: a request or a deadline starts the compensation until a pivot has passed.

After that the saga only goes forward; while the pivot is uncertain, both wait for its outcome.
"""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from saga_orchestrator.fsm.definitions.definition import Definition
from saga_orchestrator.fsm.testing import ParticipantBehavior, define
from saga_orchestrator.tests.property.scripted_saga import (
    CALLBACKS,
    COMPENSATE,
    CRASHES,
    DEADLINE,
    DEADLINE_IN_CALL,
    PAUSE,
    RESOLVE,
    RESUME,
    RETRY,
    ScriptedSaga,
)

DEFINITIONS = [
    define("book", "pay", "ship", deadline="5s"),
    define("book", "pay pivot attempts=2", "ship attempts=2", deadline="5s"),
    define("book", "pay pivot callback attempts=2", "ship", deadline="5s"),
    define("book after=", "pay pivot after= attempts=2", "ship after=book,pay", deadline="5s"),
    define("book after=", "pay pivot callback after=", "ship after=book,pay", deadline="5s"),
]
RESOLVABLE = define("book", "pay pivot attempts=1", "ship attempts=1")
ASKED_ABOUT = define("book", "pay pivot status attempts=3", "ship", deadline="5s")
BEHAVIORS = [
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
        ParticipantBehavior.ACCEPTANCE_LOST,
        ParticipantBehavior.THROTTLED,
        ParticipantBehavior.BUSY,
    ),
]
BESIDES = [DEADLINE, DEADLINE, COMPENSATE, PAUSE, RESUME, RETRY, CRASHES[1], *CALLBACKS]


@settings(max_examples=5 * settings().max_examples)
@given(st.sampled_from(DEFINITIONS), st.lists(st.sampled_from([*BEHAVIORS, *BESIDES]), max_size=10))
def test_deadlines_and_requests_violate_no_invariant(
    definition: Definition, words: list[str]
) -> None:
    scripted = ScriptedSaga(definition)

    scripted.play(words)

    scripted.come_to_rest()


@settings(max_examples=3 * settings().max_examples)
@given(
    st.sampled_from(DEFINITIONS),
    st.integers(0, 5),
    st.sampled_from([ParticipantBehavior.BUSY, ParticipantBehavior.THROTTLED]),
    st.lists(st.sampled_from(BEHAVIORS), min_size=1, max_size=3),
)
def test_repeated_call_during_which_the_deadline_passes_violates_no_invariant(
    definition: Definition, times: int, again: ParticipantBehavior, words: list[str]
) -> None:
    scripted = ScriptedSaga(definition)

    scripted.play([*[again] * times, DEADLINE_IN_CALL, *words])

    scripted.come_to_rest()


@settings(max_examples=3 * settings().max_examples)
@given(
    st.lists(
        st.sampled_from(
            [
                ParticipantBehavior.DONE,
                ParticipantBehavior.REJECTED,
                ParticipantBehavior.NOT_SENT,
                RETRY,
                RETRY,
                COMPENSATE,
            ]
        ),
        max_size=6,
    )
)
def test_pivot_that_is_rejected_after_a_crash_violates_no_invariant(words: list[str]) -> None:
    scripted = ScriptedSaga(define("pay pivot attempts=3", "ship"))

    scripted.play([CRASHES[1], ParticipantBehavior.REJECTED, *words])

    scripted.come_to_rest()


@given(
    st.lists(
        st.sampled_from(
            [ParticipantBehavior.DONE, ParticipantBehavior.REQUEST_LOST, COMPENSATE, DEADLINE]
        ),
        max_size=6,
    )
)
def test_status_query_about_a_pivot_violates_no_invariant(words: list[str]) -> None:
    scripted = ScriptedSaga(ASKED_ABOUT)

    scripted.play(words)

    scripted.come_to_rest()


@given(
    st.lists(
        st.sampled_from(
            [
                ParticipantBehavior.DONE,
                ParticipantBehavior.RESPONSE_LOST,
                ParticipantBehavior.REQUEST_LOST,
                RESOLVE,
                RETRY,
                COMPENSATE,
            ]
        ),
        max_size=8,
    )
)
def test_verdict_about_an_unknown_pivot_violates_no_invariant(words: list[str]) -> None:
    scripted = ScriptedSaga(RESOLVABLE)

    scripted.play(words)

    scripted.come_to_rest()


@pytest.mark.parametrize("definition", DEFINITIONS)
def test_interrupted_call_is_settled_after_a_deadline_that_waited_for_the_pivot(
    definition: Definition,
) -> None:
    scripted = ScriptedSaga(definition)
    lost = ParticipantBehavior.RESPONSE_LOST

    scripted.play([lost, DEADLINE, lost, COMPENSATE, CRASHES[1]])

    scripted.come_to_rest()
