"""How long things are. The numbers of the house: aims of many, laws of none but the last."""

from __future__ import annotations

from statistics import median, quantiles
from typing import Final

from saga_orchestrator.tests.house.tree import (
    functions,
    production_files,
    python_files,
    text,
)

LONGEST_FILE: Final = 400
USUAL_FILE: Final = 250
LONGEST_FUNCTION: Final = 60


def test_no_file_is_longer_than_anybody_reads() -> None:
    lengths = {one: len(text(one).splitlines()) for one in python_files("tests", "benchmarks")}
    lengths |= {one: len(text(one).splitlines()) for one in production_files()}

    assert {one: lines for one, lines in lengths.items() if lines > LONGEST_FILE} == {}


def test_most_files_are_short() -> None:
    lengths = sorted(len(text(one).splitlines()) for one in production_files())

    assert quantiles(lengths, n=20)[-1] <= USUAL_FILE


def test_no_function_is_longer_than_a_screen() -> None:
    found = [one for file in python_files() for one in functions(file)]

    assert [one for one in found if one.lines > LONGEST_FUNCTION] == []


def test_functions_do_one_thing() -> None:
    lengths = [one.lines for file in production_files() for one in functions(file)]

    assert median(lengths) <= 8
    assert quantiles(lengths, n=10)[-1] <= 25
