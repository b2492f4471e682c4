from __future__ import annotations

from datetime import timedelta

import pytest
from saga_orchestrator.fsm.definitions.definition import (
    Child,
    Completion,
    OnFailure,
    OnTimeout,
    WaitFor,
)
from saga_orchestrator.fsm.definitions.findings import InvalidDefinition
from saga_orchestrator.fsm.testing import define


def test_step_has_a_compensation_unless_it_needs_none() -> None:
    definition = define("look no_effect", "book", "mail undone_by=book", "pay pivot", "ship")

    assert [step.name for step in definition.steps if step.compensation] == ["book"]


def test_words_change_the_options_of_a_step() -> None:
    step = define("book on_reject continue attempts=2 undo_attempts=3 status when=wanted")["book"]

    assert step.compensation
    assert step.compensation.on_failure is OnFailure.CONTINUE
    assert (step.retry.attempts, step.compensation.retry.attempts) == (2, 3)
    assert (step.compensate_on_reject, step.status is not None) == (True, True)
    assert step.when
    assert step.when.source == "input.wanted"


def test_words_change_the_predecessors_of_a_step() -> None:
    definition = define("book", "hotel after=", "car after=book,hotel", "mail")

    assert [step.after for step in definition.steps] == [(), (), ("book", "hotel"), ("car",)]


def test_words_change_the_completion_of_a_step() -> None:
    book, pay = define("book callback", "pay poll").steps

    assert (book.completion, book.status) == (Completion.CALLBACK, None)
    assert (pay.completion, pay.status is not None) == (Completion.POLL, True)


def test_step_may_wait_instead_of_calling() -> None:
    day = timedelta(days=1)
    rest, first, second, hotel = define(
        "rest sleep=10m", "first signal=go", "second signal=go or_park", "hotel child=room"
    ).steps

    assert rest.sleep == timedelta(minutes=10)
    assert first.wait_for == WaitFor(signal="go", timeout=day, on_timeout=OnTimeout.REJECT)
    assert second.wait_for == WaitFor(signal="go", timeout=day, on_timeout=OnTimeout.PARK)
    assert hotel.child == Child(saga_type="room", version=None, input=None)
    assert [step.action for step in (rest, first, second, hotel)] == [None] * 4


@pytest.mark.parametrize("words", ["pivott", "colour=red", "pivot undone"])
def test_unknown_word_is_a_key_error(words: str) -> None:
    with pytest.raises(KeyError, match="unknown words"):
        define(f"book {words}")


def test_invalid_definition_is_refused() -> None:
    with pytest.raises(InvalidDefinition):
        define("book", "book")


def test_definition_may_have_a_name_and_a_deadline() -> None:
    definition = define("book", name="tour", deadline="1m")

    assert (definition.name, definition.deadline) == ("tour", timedelta(minutes=1))
