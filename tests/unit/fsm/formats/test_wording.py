from __future__ import annotations

import pytest
from saga_orchestrator.fsm.formats.wording import counted


@pytest.mark.parametrize(
    ("number", "text"), [(0, "0 errors"), (1, "1 error"), (2, "2 errors"), (1.0, "1.0 error")]
)
def test_noun_agrees_with_its_number(number: float, text: str) -> None:
    assert counted(number, "error") == text


def test_irregular_plural_is_used() -> None:
    assert [counted(n, "entry", "entries") for n in (1, 2)] == ["1 entry", "2 entries"]
