from __future__ import annotations

from datetime import timedelta

import pytest
from saga_orchestrator.fsm.definition import OnFailure
from saga_orchestrator.fsm.errors import InvalidDefinition
from saga_orchestrator.fsm.testing import define


def test_a_step_is_undone_unless_it_cannot_come_to_be() -> None:
    definition = define("look no_effect", "book", "mail undone_by=book", "pay pivot", "ship")

    assert [step.name for step in definition.steps if step.compensation] == ["book"]


def test_words_change_what_a_step_is() -> None:
    step = define("book on_reject continue attempts=2 undo_attempts=3 status when=wanted")["book"]

    assert step.compensation
    assert step.compensation.on_failure is OnFailure.CONTINUE
    assert (step.action.retry.attempts, step.compensation.retry.attempts) == (2, 3)
    assert (step.compensate_on_reject, step.status is not None) == (True, True)
    assert step.when
    assert step.when.source == "input.wanted"


@pytest.mark.parametrize("words", ["pivott", "colour=red", "pivot undone"])
def test_a_word_that_is_not_known_is_a_mistake(words: str) -> None:
    with pytest.raises(KeyError, match="unknown words"):
        define(f"book {words}")


def test_what_the_language_refuses_is_refused() -> None:
    with pytest.raises(InvalidDefinition):
        define("book", "book")


def test_a_definition_may_have_a_name_and_a_deadline() -> None:
    definition = define("book", name="tour", deadline="1m")

    assert (definition.name, definition.deadline) == ("tour", timedelta(minutes=1))
