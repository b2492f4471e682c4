"""docs/glossary.md defines each term once, and each place that it names exists."""

from __future__ import annotations

import re
from collections import Counter
from typing import Final

import pytest
from saga_orchestrator.tests.docs.markdown import document
from saga_orchestrator.tests.docs.places import unknown_places

ROW: Final = re.compile(r"^\| (.+?) \| (.+?) \| (.+?) \|$", re.MULTILINE)
ROWS: Final = [
    row for row in ROW.findall(document("docs/glossary.md").text) if row[0] not in ("term", "---")
]


def test_each_term_is_defined_once() -> None:
    terms = Counter(term for term, _, _ in ROWS)

    assert len(terms) > 100
    assert [term for term, number in terms.items() if number > 1] == []


@pytest.mark.parametrize(("term", "place"), [(term, place) for term, _, place in ROWS])
def test_place_of_a_term_exists(term: str, place: str) -> None:
    assert unknown_places(place) == []
