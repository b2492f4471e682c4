"""The attempts of one step, with every order of outcomes and with crashes in between.

The machine of `test_saga_machine.py` seldom stays with one step for long.
"""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from saga_orchestrator.fsm.definitions.definition import Definition
from saga_orchestrator.fsm.testing import ParticipantBehavior, define
from saga_orchestrator.tests.property.scripted_saga import (
    CALLBACKS,
    COMPENSATE,
    CRASHES,
    ScriptedSaga,
)

CASES: list[tuple[Definition, list[str]]] = [  # each with what happens before the scripted
    (define("pay attempts=3"), []),
    (define("pay attempts=3 status"), []),
    (define("pay attempts=3 on_reject undo_attempts=2"), []),
    (define("book continue", "pay attempts=3 undone_by=book"), [ParticipantBehavior.DONE]),
    (
        define("book", "pay undo_attempts=2", "ship"),
        [ParticipantBehavior.DONE, ParticipantBehavior.DONE, ParticipantBehavior.REJECTED],
    ),
]
ACCEPTING: list[tuple[Definition, list[str]]] = [
    (define("book", "pay callback attempts=2"), [ParticipantBehavior.DONE]),
    (define("pay pivot callback attempts=1", "ship"), []),
    (define("pay pivot callback status attempts=3", "ship"), []),
]
BEHAVIORS = [
    ParticipantBehavior.RESPONSE_LOST,
    ParticipantBehavior.NOT_SENT,
    ParticipantBehavior.THROTTLED,
    ParticipantBehavior.REJECTED,
    ParticipantBehavior.BUSY,
    ParticipantBehavior.REQUEST_LOST,
]
attempts = st.lists(st.sampled_from([*BEHAVIORS, *CRASHES, COMPENSATE, COMPENSATE]), max_size=8)
callbacks = st.lists(
    st.sampled_from([*BEHAVIORS, ParticipantBehavior.ACCEPTED, *CRASHES, *CALLBACKS, COMPENSATE]),
    max_size=8,
)


@settings(max_examples=8 * settings().max_examples)
@given(st.sampled_from(CASES), attempts)
def test_outcomes_in_any_order_violate_no_invariant(
    case: tuple[Definition, list[str]], words: list[str]
) -> None:
    tell(case, words)


@settings(max_examples=4 * settings().max_examples)
@given(st.sampled_from(ACCEPTING), callbacks)
def test_replies_and_callbacks_in_any_order_violate_no_invariant(
    case: tuple[Definition, list[str]], words: list[str]
) -> None:
    tell(case, words)


def tell(case: tuple[Definition, list[str]], words: list[str]) -> None:
    definition, before = case
    scripted = ScriptedSaga(definition)
    scripted.play([*before, *words])
    scripted.come_to_rest()
