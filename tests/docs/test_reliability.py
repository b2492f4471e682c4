"""The tests that the document names exist, and it names every test of reliability."""

from __future__ import annotations

import re

import pytest
from saga_orchestrator.tests.docs.markdown import ROOT, document, quoted_in

RELIABILITY = document("docs/reliability.md")
TEST = re.compile(r"^(?:async )?def (test_\w+)", re.MULTILINE)
PROOFS = ("tests/acceptance/reliability", "tests/acceptance/nodes")
COLUMNS = ["fault", "what you see", "what is promised", "tested by", "defence"]


def rows() -> list[list[str]]:
    lines = [line for line in RELIABILITY.text.splitlines() if line.startswith("| ")]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return [row for row in cells if len(row) == len(COLUMNS) and row != COLUMNS]


def names_below(folder: str) -> set[str]:
    files = (ROOT / folder).rglob("test_*.py")
    return {name for file in files for name in TEST.findall(file.read_text(encoding="utf-8"))}


def test_every_promise_names_a_test_that_exists() -> None:
    named = {row[0]: set(quoted_in(row[3])) for row in rows()}

    assert len(named) >= 18
    assert all(named.values())
    assert set().union(*named.values()) <= names_below("tests")


@pytest.mark.parametrize("folder", PROOFS)
def test_every_proof_is_listed(folder: str) -> None:
    assert names_below(folder) <= set(RELIABILITY.quoted())
    assert names_below(folder)
