from __future__ import annotations

from saga_orchestrator.fsm.testing import define


def test_a_definition_gives_its_steps_by_name() -> None:
    definition = define("book", "pay pivot", "ship", "mail")

    assert definition["ship"] is definition.steps[2]
    assert definition.pivots == ("pay",)
    assert definition.after_pivot == {"ship", "mail"}


def test_without_a_pivot_nothing_is_after_it() -> None:
    assert define("book", "pay").after_pivot == frozenset()


def test_a_definition_knows_what_a_compensation_covers() -> None:
    definition = define("book", "confirm undone_by=book", "pay", "mail undone_by=book")

    assert [step.name for step in definition.compensated_with("book")] == ["confirm", "mail"]
    assert definition.compensated_with("pay") == ()


def test_a_definition_is_equal_to_itself_alone() -> None:
    definition = define("book")

    assert definition == definition
    assert definition != define("book")
