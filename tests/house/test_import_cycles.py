"""No module imports itself through others, not even for type annotations only."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from saga_orchestrator.tests.house.tree import PRODUCTION, imported_files, imports, python_files

# Modules that may still be in a cycle. The list only shrinks.
EXCEPTIONS: Final[frozenset[str]] = frozenset()


def test_production_modules_have_no_import_cycle() -> None:
    cycles = [cycle for cycle in _cycles(_imports_by_file()) if not cycle <= EXCEPTIONS]

    assert [sorted(cycle) for cycle in cycles] == []


def test_exceptions_are_still_in_a_cycle() -> None:
    in_cycles = {file for cycle in _cycles(_imports_by_file()) for file in cycle}

    assert sorted(EXCEPTIONS - in_cycles) == []


def test_cycle_of_three_modules_is_found() -> None:
    graph = {"a": {"b"}, "b": {"c"}, "c": {"a", "d"}, "d": set[str]()}

    assert list(_cycles(graph)) == [{"a", "b", "c"}]


def _imports_by_file() -> dict[str, set[str]]:
    """Return what each production file imports, under TYPE_CHECKING too."""
    production = set(python_files(*PRODUCTION))
    return {
        file: {
            target
            for each in imports(file)
            if each.is_ours
            for target in imported_files(each)
            if target in production
        }
        for file in production
    }


def _cycles(graph: Mapping[str, set[str]]) -> Iterator[set[str]]:
    """Yield the sets of files that reach one another."""
    reachable = {file: _reachable(graph, file) for file in graph}
    left = set(graph)
    while left:
        file = left.pop()
        cycle = {other for other in reachable[file] if file in reachable[other]}
        if cycle:
            left -= cycle
            yield cycle


def _reachable(graph: Mapping[str, set[str]], start: str) -> set[str]:
    """Return the files that `start` imports directly or through others."""
    reached: set[str] = set()
    waiting = [start]
    while waiting:
        for target in graph[waiting.pop()] - reached:
            reached.add(target)
            waiting.append(target)
    return reached
