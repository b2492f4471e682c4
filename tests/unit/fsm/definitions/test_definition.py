from __future__ import annotations

from saga_orchestrator.fsm.testing import define


def test_definition_finds_its_steps_by_name() -> None:
    definition = define("book", "pay pivot", "ship", "mail")

    assert definition["ship"] is definition.steps[2]
    assert definition.pivots == ("pay",)
    assert definition.graph.after_pivot == {"ship", "mail"}


def test_definition_without_a_pivot_has_no_step_after_it() -> None:
    assert define("book", "pay").graph.after_pivot == frozenset()


def test_compensation_of_a_step_implies_that_of_the_steps_undone_by_it() -> None:
    definition = define("book", "confirm undone_by=book", "pay", "mail undone_by=book")

    assert [step.name for step in definition.compensated_with("book")] == ["confirm", "mail"]
    assert definition.compensated_with("pay") == ()


def test_definition_equals_only_itself() -> None:
    definition = define("book")

    assert definition == definition
    assert definition != define("book")
