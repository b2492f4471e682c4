from __future__ import annotations

from saga_orchestrator.fsm.definitions.step_graph import StepGraph

DIAMOND = {"book": (), "fly": ("book",), "stay": ("book",), "pay": ("fly", "stay")}


def test_predecessors_are_transitive() -> None:
    graph = StepGraph(DIAMOND, ())

    assert graph.predecessors == {
        "book": frozenset(),
        "fly": {"book"},
        "stay": {"book"},
        "pay": {"book", "fly", "stay"},
    }


def test_predecessors_do_not_depend_on_the_order_of_the_document() -> None:
    backwards = StepGraph(dict(reversed(DIAMOND.items())), ())

    assert backwards.predecessors == StepGraph(DIAMOND, ()).predecessors


def test_unordered_steps_are_concurrent() -> None:
    graph = StepGraph(DIAMOND, ())

    assert graph.concurrent_with("fly") == ["stay"]
    assert graph.concurrent_with("pay") == []


def test_step_is_not_concurrent_with_itself() -> None:
    assert not StepGraph(DIAMOND, ()).are_concurrent("fly", "fly")


def test_steps_behind_a_certain_pivot_are_after_it() -> None:
    assert StepGraph(DIAMOND, {"fly"}).after_pivot == {"pay"}
    assert StepGraph(DIAMOND, {"book"}).after_pivot == {"fly", "stay", "pay"}


def test_graph_without_a_certain_pivot_has_no_steps_after_it() -> None:
    assert StepGraph(DIAMOND, ()).after_pivot == frozenset()


def test_second_pivot_is_after_the_first() -> None:
    assert StepGraph({"a": (), "b": ("a",), "c": ("b",)}, {"a", "b"}).after_pivot == {"b", "c"}


def test_acyclic_graph_has_no_steps_in_cycles() -> None:
    assert StepGraph(DIAMOND, ()).in_cycles() == []


def test_steps_of_a_cycle_and_behind_it_are_in_cycles() -> None:
    graph = StepGraph({"a": (), "b": ("a", "c"), "c": ("b",), "d": ("c",), "e": ("e",)}, ())

    assert graph.in_cycles() == ["b", "c", "d", "e"]


def test_unknown_predecessor_is_kept_by_name() -> None:
    assert StepGraph({"a": ("nowhere",)}, ()).predecessors == {"a": {"nowhere"}}
