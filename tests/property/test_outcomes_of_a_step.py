"""Whatever the attempts of one step come to, in whatever order, and with crashes in between.

The machine of `test_saga_machine.py` seldom stays with one step for long; this is where it does.
"""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from saga_orchestrator.fsm.definition import Definition
from saga_orchestrator.fsm.testing import Fate, define
from saga_orchestrator.tests.property.story import CALLBACKS, CRASHES, TURN, Story

CASES: list[tuple[Definition, list[str]]] = [  # each with what happens before the story
    (define("pay attempts=3"), []),
    (define("pay attempts=3 status"), []),
    (define("pay attempts=3 on_reject undo_attempts=2"), []),
    (define("book continue", "pay attempts=3 undone_by=book"), [Fate.DONE]),
    (define("book", "pay undo_attempts=2", "ship"), [Fate.DONE, Fate.DONE, Fate.REJECTED]),
]
ACCEPTING: list[tuple[Definition, list[str]]] = [
    (define("book", "pay callback attempts=2"), [Fate.DONE]),
    (define("pay pivot callback attempts=1", "ship"), []),
]
FATES = [Fate.LOST, Fate.NOT_SENT, Fate.THROTTLED, Fate.REJECTED, Fate.BUSY, Fate.LOST_BEFORE]
attempts = st.lists(st.sampled_from([*FATES, *CRASHES, TURN, TURN]), max_size=8)
callbacks = st.lists(
    st.sampled_from([*FATES, Fate.ACCEPTED, *CRASHES, *CALLBACKS, TURN]), max_size=8
)


@settings(max_examples=8 * settings().max_examples)
@given(st.sampled_from(CASES), attempts)
def test_no_order_of_outcomes_breaks_a_promise(
    case: tuple[Definition, list[str]], words: list[str]
) -> None:
    tell(case, words)


@settings(max_examples=4 * settings().max_examples)
@given(st.sampled_from(ACCEPTING), callbacks)
def test_no_order_of_replies_and_callbacks_breaks_a_promise(
    case: tuple[Definition, list[str]], words: list[str]
) -> None:
    tell(case, words)


def tell(case: tuple[Definition, list[str]], words: list[str]) -> None:
    definition, before = case
    story = Story(definition)
    story.tell([*before, *words])
    story.come_to_rest()
